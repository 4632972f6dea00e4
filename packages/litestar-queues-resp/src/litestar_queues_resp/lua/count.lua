-- Counts what can be counted without looking at each job.

local oldest = -1
for _, lane in ipairs(call('ZRANGE', base .. 'l', 0, -1)) do
  local line = base .. 'r:' .. lane
  local from = '-inf'
  while true do  -- each priority has a range of its own
    local first = call('ZRANGEBYSCORE', line, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[2] then break end
    local rank = math.floor(tonumber(first[2]) / RANK)
    local due = tonumber(first[2]) - rank * RANK
    if oldest < 0 or due < oldest then oldest = due end
    from = whole((rank + 1) * RANK)
  end
end
local scheduled = {}
for _, lane in ipairs(call('ZRANGE', base .. 'd', 0, -1)) do
  scheduled[#scheduled + 1] = {lane, call('ZCARD', base .. 's:' .. lane)}
end
local running, leases = {}, {}
local function see(set, dead, most)
  local found = call('ZREVRANGE', base .. set, 0, most, 'WITHSCORES')
  for i = 1, #found, 2 do
    local lease = found[i]
    local number = 0
    for _, text in ipairs(call('HVALS', held_key(lease))) do
      local claim = read_claim(text)
      running[claim.lane] = (running[claim.lane] or 0) + claim.left
      number = number + claim.left
    end
    local about = call('HGET', base .. 'm:' .. lease, 'about')
    leases[#leases + 1] = {lease, about, number, whole(tonumber(found[i + 1]) - now), dead}
  end
end
see('a', 0, -1)
see('z', 1, 99)
local runs = {}
for lane, number in pairs(running) do runs[#runs + 1] = {lane, number} end
return {now, call('HGETALL', base .. 'rn'), scheduled, runs, call('HGETALL', base .. 'n'), leases, oldest}
