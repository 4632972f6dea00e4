-- Reads events after a place, of one job or of all: pairs of place and body, and the last place
-- looked at.  A place is an id of the stream.

local job, after, count = take(), take(), tonumber(take())
local found, last = {}, after
local function see(entry)
  local values = {}
  for i = 1, #entry[2], 2 do values[entry[2][i]] = entry[2][i + 1] end
  found[#found + 1] = {entry[1], values.b}
  last = entry[1]
end
local from = after == '' and '-' or '(' .. after
if job == '' then
  for _, entry in ipairs(call('XRANGE', base .. 'ev', from, '+', 'COUNT', count)) do see(entry) end
else
  local function before(one, other)
    if one[1] ~= other[1] then return one[1] < other[1] end
    return one[2] < other[2]
  end
  local function numbers(place)
    local first, second = match(place, '^(%d+)-(%d+)$')
    return {tonumber(first), tonumber(second), place}
  end
  local places, start = {}, after ~= '' and numbers(after)
  for _, member in ipairs(
    call('ZRANGEBYLEX', base .. 'ei', '[' .. job, '[' .. job .. '\255', 'LIMIT', 0, MOST_EVENTS)
  ) do
    local place = numbers(sub(member, 29))
    if not start or before(start, place) then places[#places + 1] = place end
  end
  table.sort(places, before)
  for i = 1, math.min(count, #places) do
    for _, entry in ipairs(call('XRANGE', base .. 'ev', places[i][3], places[i][3])) do see(entry) end
  end
end
local newest = call('XREVRANGE', base .. 'ev', '+', '-', 'COUNT', 1)
return {found, last, newest[1] and newest[1][1] or ''}
