-- Frees keys whose instant has passed.

may_write()
local keys = call('ZRANGEBYSCORE', base .. 'kt', '-inf', whole(now), 'LIMIT', 0, tonumber(take()))
for _, key in ipairs(keys) do free_key(key) end
return #keys
