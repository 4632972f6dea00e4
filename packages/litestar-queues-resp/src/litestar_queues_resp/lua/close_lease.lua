-- Ends a lease and gives its jobs back, in their lanes and at their places.

may_write()
local lease = take()
if call('ZREM', base .. 'a', lease) == 0 then return 0 end
local worker = call('HGET', base .. 'm:' .. lease, 'worker')
local held = 0
holdings(held_key(lease)).each(function(claim, _, id, fence)
  local blob = call('HGET', base .. 'j', id)
  local past = past_of(id, blob)
  past[1], past[8] = delivery_of(fence), claim.started
  if call('SISMEMBER', base .. 'c:' .. lease, id) == 1 then
    finish_past(id, blob, past, CANCELLED, worker)
  else
    put(id, blob, past, claim.lane, past[7])
  end
  held = held + 1
end)
close_ends()
for _, kind in ipairs({'h:', 'm:', 'c:', 'w:lease:'}) do call('DEL', base .. kind .. lease) end
return held
