-- Forgets leases that have been dead for long and hold nothing.

may_write()
local old = call('ZRANGEBYSCORE', base .. 'z', '-inf', whole(now - DEAD_MS), 'LIMIT', 0, 100)
for _, lease in ipairs(old) do
  if call('EXISTS', base .. 'h:' .. lease) == 0 then
    call('ZREM', base .. 'z', lease)
    for _, kind in ipairs({'m:', 'c:', 'w:lease:'}) do call('DEL', base .. kind .. lease) end
  end
end
return #old
