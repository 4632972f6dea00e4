-- Ends a lease and gives its jobs back, in their lanes and at their places.

may_write()
local lease = take()
if call('ZREM', base .. 'a', lease) == 0 then return 0 end
local worker = call('HGET', base .. 'm:' .. lease, 'worker')
call('HDEL', base .. 'h:' .. lease, '')
local held = call('HGETALL', base .. 'h:' .. lease)
for i = 1, #held, 2 do
  local id, delivery, started, lane = held[i], read_held(held[i + 1])
  local blob = call('HGET', base .. 'j', id)
  local past = past_of(id, blob)
  past[1], past[8] = delivery, started
  if call('SISMEMBER', base .. 'c:' .. lease, id) == 1 then
    finish_past(id, blob, past, CANCELLED, worker)
  else
    put(id, blob, past, lane, past[7])
  end
end
close_ends()
for _, kind in ipairs({'h:', 'm:', 'c:', 'w:lease:'}) do call('DEL', base .. kind .. lease) end
return #held / 2
