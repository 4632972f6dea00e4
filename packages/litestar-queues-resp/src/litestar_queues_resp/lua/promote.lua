-- Lets scheduled jobs that are due wait for a worker.

may_write()
local ids, _, blobs = promote(tonumber(take()))
local moved = {}
for i, id in ipairs(ids) do moved[i] = {id, 1, without_payload(blobs[i])} end
return moved
