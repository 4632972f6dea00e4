-- Walks an index backwards from an id: the next ids, and what matters of those that may fit.

local index, before, count = take(), take(), tonumber(take())
local statuses, queue = take(), take()
local top = before == '' and '+' or '(' .. before
local ids = call('ZREVRANGEBYLEX', base .. index, top, '-', 'LIMIT', 0, count)
local blobs, fitting, requests = fields(base .. 'j', ids), {}, {}
for i, id in ipairs(ids) do
  local blob = blobs[i]
  if blob then
    local request = is_finished(blob) and sub(blob, request_at(blob)) or blob
    if queue == '' or match(lane_of(request), '^[^@~]*') == queue then
      fitting[#fitting + 1] = id
      requests[#requests + 1] = is_finished(blob)
        and sub(blob, 1, request_at(blob) - 1) .. without_payload(request)
        or without_payload(blob)
    end
  end
end
local views, chosen, told = look(fitting, requests, false), {}, {}
for i, view in ipairs(views) do
  if statuses == '' or string.find(statuses, view[1], 1, true) then
    chosen[#chosen + 1], told[#told + 1] = fitting[i], view
  end
end
return {#ids, ids[#ids] or '', chosen, told}
