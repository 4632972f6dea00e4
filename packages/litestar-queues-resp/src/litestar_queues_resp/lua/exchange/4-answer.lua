-- What is remembered for a replay, and the answer.

if settled > 0 or claimed > 0 then
  call('HSET', mine, 'seq', whole(seq), 'rejected', concat(rejected), 'ended', concat(ended))
  extend(BUSY_MS)
else
  extend(term / 3)
end
-- There is more than we could take: let the next one look, but not at every exchange.
if claimed > 0 and claimed == limit and full_lane and now - (tonumber(standing[6]) or 0) > CHAIN_MS then
  call('HSET', mine, 'chained', whole(now))
  wake(full_lane)
end
return {0, now, next_due(), after, concat(rejected), concat(ended), requested(), claims, worker}
