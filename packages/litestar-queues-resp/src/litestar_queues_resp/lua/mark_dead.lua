-- Breaks the fences of leases whose time has run out, at most so many; answers how many.

may_write()
local found = call(
  'ZRANGEBYSCORE', base .. 'a', '-inf', '(' .. whole(now), 'WITHSCORES', 'LIMIT', 0, tonumber(take())
)
for i = 1, #found, 2 do
  local lease = found[i]
  call('ZREM', base .. 'a', lease)
  call('ZADD', base .. 'z', found[i + 1], lease)
  if call('EXISTS', base .. 'h:' .. lease) == 1 then call('SADD', base .. 'zh', lease) end
end
return #found / 2
