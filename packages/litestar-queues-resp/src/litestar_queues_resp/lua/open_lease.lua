-- Begins a lease, or goes on with it; answers 0 if it is dead.

may_write()
local refusal = refused()
if refusal then return refusal end
local lease, worker, about, term = take(), take(), take(), tonumber(take())
if call('ZSCORE', base .. 'z', lease) then return 0 end
call('HSET', base .. 'm:' .. lease, 'worker', worker, 'about', about, 'term', whole(term))
call('ZADD', base .. 'a', whole(now + term), lease)
return 1
