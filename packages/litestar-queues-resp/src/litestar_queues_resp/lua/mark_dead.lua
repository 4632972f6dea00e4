-- Breaks the fences of leases whose time has run out.

may_write()
local found = call(
  'ZRANGEBYSCORE', base .. 'a', '-inf', '(' .. whole(now), 'WITHSCORES', 'LIMIT', 0, 100
)
for i = 1, #found, 2 do
  local lease = found[i]
  call('ZREM', base .. 'a', lease)
  call('ZADD', base .. 'z', found[i + 1], lease)
  if call('EXISTS', base .. 'h:' .. lease) == 1 then call('SADD', base .. 'zh', lease) end
end
return #found / 2
