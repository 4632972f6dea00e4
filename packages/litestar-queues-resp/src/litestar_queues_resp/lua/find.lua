-- Walks an index backwards from a place (instant of the enqueue, id): whether there is more, the last
-- instant it has seen, and what matters of the jobs that may fit.
-- io and ib are the journal of all; i is what is left of what was cut off it.

local index_, from, before, count = take(), take(), take(), tonumber(take())
local statuses, queue = take(), take()
local ids, times, last, size, more = {}, {}, nil, 0, false

-- Sees the ids of an instant, the last one first; false if they are too many, or too large.
local function see(at, together)
  if from ~= '+inf' and tonumber(at) > tonumber(from) then return true end
  local ones, found, more_size = split(together), {}, 0
  for n = #ones, 1, -1 do
    if at ~= from or before == '' or is_below(ones[n], before) then
      found[#found + 1] = ones[n]
      more_size = more_size + size_of(ones[n])
    end
  end
  if #found > 0 and at ~= last and (#ids >= count or (size > 0 and size + more_size > BYTES)) then
    more = true
    return false
  end
  for _, id in ipairs(found) do
    ids[#ids + 1], times[#times + 1] = id, at
    last = at
  end
  size = size + more_size
  return true
end

local function see_piece(piece)
  local groups = groups_of(piece)
  for i = #groups, 1, -1 do
    if not see(groups[i][1], groups[i][2]) then return false end
  end
  return true
end

-- Walks down an index; an instant is looked at whole.
local function walk(key, look_at)
  local offset = 0
  while true do
    local found = call(
      'ZREVRANGEBYSCORE', base .. key, from, '-inf', 'WITHSCORES', 'LIMIT', offset, 50
    )
    for i = 1, #found, 2 do
      if not look_at(found[i], found[i + 1]) then return false end
    end
    if #found < 100 then return true end
    offset = offset + 50
  end
end

local function walk_journal()
  if not see_piece(call('GET', base .. 'io') or '') then return end
  if from ~= '+inf' then  -- the piece that reaches beyond
    local found = call('ZRANGEBYSCORE', base .. 'ib', '(' .. from, '+inf', 'LIMIT', 0, 1)
    if found[1] and not see_piece(found[1]) then return end
  end
  if walk('ib', see_piece) then walk('i', function(id, at) return see(at, id) end) end
end

if index_ == 'ib' then
  walk_journal()
else
  walk(index_, function(id, at) return see(at, id) end)
end

local blobs, fitting, requests, places = fields(base .. 'j', ids), {}, {}, {}
for i, id in ipairs(ids) do
  local blob = blobs[i]
  -- One that was pruned and enqueued again has another place.
  if blob and whole(enqueued_of(blob)) == times[i] then
    if queue == '' or match(lane_of(blob), '^[^@~]*') == queue then
      fitting[#fitting + 1], requests[#requests + 1] = id, without_payload(blob)
      places[#places + 1] = times[i]
    end
  end
end
local views, chosen = look(fitting, requests, false), {}
for i, view in ipairs(views) do
  if statuses == '' or string.find(statuses, view[1], 1, true) then
    chosen[#chosen + 1] = {places[i], fitting[i], view}
  end
end
return {more and 1 or 0, last or '', chosen}
