-- Tells what there is to maintain: clock, next due, dead leases, lost jobs, expired jobs, jobs
-- due, keys to free, jobs to prune, leases to forget, an index that has grown too long.

local short, failed, most = tonumber(take()), tonumber(take()), tonumber(take())

local function any(key, bound)
  local found = call('ZRANGEBYSCORE', base .. key, '-inf', bound, 'LIMIT', 0, 1)
  return #found
end

local function prunable()
  local total, counts = 0, call('HGETALL', base .. 'n')
  for i = 2, #counts, 2 do total = total + counts[i] end
  for code = COMPLETED, EXPIRED do
    local first = call('LINDEX', base .. 'o:' .. code, 0)
    if first then
      local ended, age = unpack_bytes('>I8', first), code == FAILED and failed or short
      if ended <= now - age or (total > most and ended <= now - KEPT_MS) then return 1 end
    end
  end
  return 0
end

return {
  now, next_due(), any('a', '(' .. whole(now)), call('EXISTS', base .. 'zh'),
  any('e', whole(now)), any('d', whole(now)), any('kt', whole(now)), prunable(),
  any('z', whole(now - DEAD_MS)),
  tonumber(call('GET', base .. 'ic') or 0) > 2 * call('HLEN', base .. 'j') + SPARE and 1 or 0,
}
