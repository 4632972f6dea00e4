-- Removes events that came before an instant, at most so many; answers how many.

may_write()
local before, count = now - tonumber(take()), tonumber(take())
local removed = 0
for _, entry in ipairs(call('XRANGE', base .. 'ev', '-', '+', 'COUNT', count)) do
  local values = {}
  for i = 1, #entry[2], 2 do values[entry[2][i]] = entry[2][i + 1] end
  if tonumber(values.t) > before then break end
  add('XDEL', base .. 'ev', entry[1])
  add('SREM', base .. 'ei', values.p)
  add('ZREM', base .. 'ej', sub(values.p, 1, 16) .. place_bytes(entry[1]))
  removed = removed + 1
end
flush()
return removed
