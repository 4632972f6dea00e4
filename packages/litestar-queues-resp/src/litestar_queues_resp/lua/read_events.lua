-- Reads events after a place, of one job or of all: pairs of place and body, the newest place there
-- is, and whether there may be more to read.  A place is an id of the stream.

local job, after, count = take(), take(), tonumber(take())
local found, size, full = {}, 0, false

-- Sees entries as far as there is room for them in the answer.
local function see(entries)
  for _, entry in ipairs(entries) do
    local values = {}
    for i = 1, #entry[2], 2 do values[entry[2][i]] = entry[2][i + 1] end
    full = #found == count or (#found > 0 and size + #values.b > BYTES)
    if full then return end
    found[#found + 1] = {entry[1], values.b}
    size = size + #values.b
  end
end

if job == '' then
  while not full do
    local from = found[#found] and found[#found][1] or after
    local entries = call(
      'XRANGE', base .. 'ev', from == '' and '-' or '(' .. from, '+', 'COUNT', STEP
    )
    if #entries == 0 then break end
    see(entries)
  end
else
  local from = '(' .. job .. (after == '' and '' or place_bytes(after))
  local members = call('ZRANGEBYLEX', base .. 'ej', from, '(' .. job .. '\255', 'LIMIT', 0, count + 1)
  for _, member in ipairs(members) do
    local first, second = unpack_bytes('>I8I8', member, 17)
    local at = whole(first) .. '-' .. whole(second)
    see(call('XRANGE', base .. 'ev', at, at))
    if full then break end
  end
end
local newest = call('XREVRANGE', base .. 'ev', '+', '-', 'COUNT', 1)
return {found, newest[1] and newest[1][1] or '', full and 1 or 0}
