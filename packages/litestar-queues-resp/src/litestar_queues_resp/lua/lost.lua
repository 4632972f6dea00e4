-- Finds jobs held by dead leases: {lease, worker, ids, what look() tells} for each lease.

local limit, found = tonumber(take()), {}
for _, lease in ipairs(call('SMEMBERS', base .. 'zh')) do
  if limit <= 0 then break end
  local ids = {}
  holdings(held_key(lease)).each(function(_, _, id)
    if #ids < limit then ids[#ids + 1] = id end
  end)
  limit = limit - #ids
  if #ids == 0 then
    call('SREM', base .. 'zh', lease)
  else
    local blobs = fields(base .. 'j', ids)
    for i, blob in ipairs(blobs) do blobs[i] = without_payload(blob) end
    local worker = call('HGET', base .. 'm:' .. lease, 'worker')
    found[#found + 1] = {lease, worker, ids, look(ids, blobs, false)}
  end
end
return found
