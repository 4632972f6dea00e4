-- Walks an index backwards from a place (instant of the enqueue, id): how many places it has seen,
-- the last one, and what matters of the jobs that may fit.
-- ib holds ids by the instant at which they were enqueued together; i what is left of its oldest.

local index, from, before, count = take(), take(), take(), tonumber(take())
local statuses, queue = take(), take()
local seen, ids, times = 0, {}, {}

-- Looks at the members of one index with scores up to *from*; a score is looked at whole.
local function walk(key)
  local offset, last = 0, nil
  while true do
    local found = call('ZREVRANGEBYSCORE', base .. key, from, '-inf', 'WITHSCORES', 'LIMIT', offset, 50)
    for i = 1, #found, 2 do
      local at = found[i + 1]
      if #ids >= count and at ~= last then return end
      last = at
      local together = split(found[i])
      for n = #together, 1, -1 do
        local id = together[n]
        if at ~= from or before == '' or is_below(id, before) then
          ids[#ids + 1], times[#times + 1] = id, at
        end
      end
    end
    if #found < 100 then return end
    offset = offset + 50
  end
end

walk(index)
if index == 'ib' and #ids < count then walk('i') end

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
return {#ids, times[#times] or '', chosen}
