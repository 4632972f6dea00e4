-- Lets a lease last from now, if it stands: the jobs whose cancel was requested, or nothing.

may_write()
local lease, term = take(), tonumber(take())
if not call('ZSCORE', base .. 'a', lease) then return false end
call('ZADD', base .. 'a', whole(now + term), lease)
call('HSET', base .. 'm:' .. lease, 'term', whole(term))
return call('SMEMBERS', base .. 'c:' .. lease)
