-- Who holds jobs, and jobs that fall due.

-- The leases that may hold jobs: those alive, and those dead whose jobs have not been rescued.
local function holders()
  local leases = call('ZRANGE', base .. 'a', 0, -1)
  for _, lease in ipairs(call('SMEMBERS', base .. 'zh')) do leases[#leases + 1] = lease end
  return leases
end

-- Who holds which of *ids*: id -> {lease, held}.
local function owners(ids)
  local found = {}
  if #ids == 0 then return found end
  for _, lease in ipairs(holders()) do
    for i, held in ipairs(fields(base .. 'h:' .. lease, ids)) do
      if held then found[ids[i]] = {lease, held} end
    end
  end
  return found
end

-- What a lease holds a job by: delivery (4 bytes), start (8), some flags (1), lane.
local function read_held(held)
  local delivery, started = unpack_bytes('>I4I8', held)
  return delivery, started, sub(held, 14)
end

-- Promotes scheduled jobs that are due; returns them with their lanes and requests.
local function promote(limit)
  local moved, lanes, blobs = {}, {}, {}
  while #moved < limit do
    local lane = call('ZRANGEBYSCORE', base .. 'd', '-inf', whole(now), 'LIMIT', 0, 1)[1]
    if not lane then break end
    local line = base .. 's:' .. lane
    local due = call(
      'ZRANGEBYSCORE', line, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, limit - #moved
    )
    local ids = {}
    for i = 1, #due, 2 do ids[#ids + 1] = due[i] end
    for i, blob in ipairs(fields(base .. 'j', ids)) do
      moved[#moved + 1], lanes[#lanes + 1], blobs[#blobs + 1] = ids[i], lane, blob
      local score = score_of(priority_of(blob), tonumber(due[2 * i]))
      add_pair('ZADD', base .. 'r:' .. lane, score, ids[i])
      add('ZREM', line, ids[i])
    end
    flush()
    reschedule(lane)
    if #ids > 0 then
      call('HINCRBY', base .. 'rn', lane, #ids)
      call('ZADD', base .. 'l', 0, lane)
      wake(lane)
    end
  end
  return moved, lanes, blobs
end

local function next_due()
  local first = call('ZRANGE', base .. 'd', 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or -1
end
