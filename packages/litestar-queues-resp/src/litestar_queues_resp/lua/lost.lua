-- Finds jobs held by dead leases: {lease, worker, ids, what look() tells} for each lease.

local limit, found = tonumber(take()), {}
for _, lease in ipairs(call('SMEMBERS', base .. 'zh')) do
  if limit <= 0 then break end
  local ids = call('HKEYS', base .. 'h:' .. lease)
  for i = #ids, limit + 1, -1 do ids[i] = nil end
  if #ids == 0 then call('SREM', base .. 'zh', lease) end
  limit = limit - #ids
  local blobs = fields(base .. 'j', ids)
  for i, blob in ipairs(blobs) do blobs[i] = without_payload(blob) end
  local worker = call('HGET', base .. 'm:' .. lease, 'worker')
  if #ids > 0 then found[#found + 1] = {lease, worker, ids, look(ids, blobs, false)} end
end
return found
