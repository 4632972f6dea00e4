-- What is remembered for a replay, and the answer.

if settled > 0 or claimed > 0 then
  call('HSET', mine, 'seq', whole(seq), 'rejected', concat(rejected), 'ended', concat(ended))
  extend(BUSY_MS)
else
  extend(term)
end

-- There is more than we could take, or than we can: let the next one look, but not at every exchange.
local function pass_on()
  local left = full_lane or foreign_lane
  if not left and limit > 0 and claimed == limit then left = call('ZRANGE', base .. 'l', 0, 0)[1] end
  if not left then return end
  local pause = claimed == limit and CHAIN_MS or FOREIGN_MS
  if tired or heavy or now - (tonumber(standing[6]) or 0) > pause then
    call('HSET', mine, 'chained', whole(now))
    wake(left)
  end
end

if limit > 0 then pass_on() end
return {0, now, next_due(), after, concat(rejected), concat(ended), requested(), claims, worker}
