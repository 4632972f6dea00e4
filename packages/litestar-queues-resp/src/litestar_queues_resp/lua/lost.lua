-- Finds jobs held by dead leases: {lease, worker, ids, what look() tells} for each lease.

local limit, found = tonumber(take()), {}
for _, lease in ipairs(call('SMEMBERS', base .. 'zh')) do
  if limit <= 0 then break end
  local ids, known = {}, {}
  holdings(held_key(lease)).each(function(claim, _, id, fence)
    if #ids < limit then
      ids[#ids + 1] = id
      known[id] = {lease, fence, claim.started, claim.lane}
    end
  end)
  limit = limit - #ids
  if #ids == 0 then
    call('SREM', base .. 'zh', lease)
  else
    local blobs = fields(base .. 'j', ids)
    for i, blob in ipairs(blobs) do blobs[i] = blob and without_payload(blob) end
    local worker = call('HGET', base .. 'm:' .. lease, 'worker')
    found[#found + 1] = {lease, worker, ids, look(ids, blobs, false, known)}
  end
end
return found
