-- Who holds jobs, and jobs that fall due.

-- What a lease holds, claim by claim: start (8 bytes), how many (2) and how many are left (2),
-- lane (1 + n), flags (1 each), fences (20 each: id and delivery; blank once it is gone).
local BLANK = string.rep('\0', 20)

local function claim_text(started, count, left, lane, flags, fences)
  return pack('>I8HHB', started, count, left, #lane) .. lane .. flags .. fences
end

local function read_claim(text)
  local started, count, left, length = unpack_bytes('>I8HHB', text)
  local at = 14 + length
  return {
    started = started, count = count, left = left, lane = sub(text, 14, at - 1),
    flags = sub(text, at, at + count - 1), fences = sub(text, at + count), gone = {},
  }
end

-- The claims of one lease, read when they are asked for, and written when all is done.
local function holdings(key)
  local read, all = {}, false
  local self = {}

  local function claim_of(field)
    if read[field] == nil then
      local text = not all and call('HGET', key, field)
      read[field] = text and read_claim(text) or false
    end
    return read[field]
  end

  function self.load()
    if all then return read end
    local pairs_ = call('HGETALL', key)
    for i = 1, #pairs_, 2 do
      if read[pairs_[i]] == nil then read[pairs_[i]] = read_claim(pairs_[i + 1]) end
    end
    all = true
    return read
  end

  -- Returns the claim that holds a fence, and its place; *field* and *place* say where it should be.
  function self.find(fence, field, place)
    local claim = field ~= '' and claim_of(field)
    if claim and sub(claim.fences, 20 * place - 19, 20 * place) == fence then
      return not claim.gone[place] and claim or nil, place
    end
    for _, one in pairs(self.load()) do
      local at = one and find_aligned(one.fences, fence, 20)
      if at and not one.gone[(at + 19) / 20] then return one, (at + 19) / 20 end
    end
  end

  -- Returns a claim all of whose jobs are meant, if they are.
  function self.whole(field, fences)
    local claim = field ~= '' and claim_of(field)
    if claim and claim.left == claim.count and claim.fences == fences then return claim end
  end

  function self.let_go(claim, place)
    claim.gone[place] = true
    claim.left = claim.left - 1
    claim.changed = true
  end

  function self.write()
    for field, claim in pairs(read) do
      if claim and claim.changed then
        if claim.left == 0 then
          call('HDEL', key, field)
        else
          local fences = {}
          for i = 1, claim.count do
            fences[i] = claim.gone[i] and BLANK or sub(claim.fences, 20 * i - 19, 20 * i)
          end
          call('HSET', key, field, claim_text(
            claim.started, claim.count, claim.left, claim.lane, claim.flags, concat(fences)
          ))
        end
      end
    end
    read, all = {}, false
  end

  -- Calls *see* with claim, place, id and fence of each job that is held.
  function self.each(see)
    for field, claim in pairs(self.load()) do
      for place = 1, claim and claim.count or 0 do
        local fence = sub(claim.fences, 20 * place - 19, 20 * place)
        if fence ~= BLANK and not claim.gone[place] then
          see(claim, place, sub(fence, 1, 16), fence, field)
        end
      end
    end
  end

  return self
end

local function held_key(lease) return base .. 'h:' .. lease end
local function delivery_of(fence) return (unpack_bytes('>I4', fence, 17)) end

-- The leases that may hold jobs: those alive, and those dead whose jobs have not been rescued.
local function holders()
  local leases = call('ZRANGE', base .. 'a', 0, -1)
  for _, lease in ipairs(call('SMEMBERS', base .. 'zh')) do leases[#leases + 1] = lease end
  return leases
end

-- Who holds which of *ids*: id -> {lease, fence, start, lane}.  Looks at all that is held, once.
local function owners(ids)
  local wanted, found = {}, {}
  if #ids == 0 then return found end
  for _, id in ipairs(ids) do wanted[id] = true end
  for _, lease in ipairs(holders()) do
    for _, text in ipairs(call('HVALS', held_key(lease))) do
      local claim
      local function see(id, at)
        found[id] = {lease, sub(claim.fences, at, at + 19), claim.started, claim.lane}
      end
      if #ids <= 4 then  -- a search is faster than to take all apart
        for _, id in ipairs(ids) do
          if string.find(text, id, 1, true) then
            claim = claim or read_claim(text)
            local at = find_aligned(claim.fences, id, 20)
            if at then see(id, at) end
          end
        end
      else
        claim = read_claim(text)
        for at = 1, #claim.fences, 20 do
          local id = sub(claim.fences, at, at + 15)
          if wanted[id] then see(id, at) end
        end
      end
    end
  end
  return found
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
    local number = 0
    for i, blob in ipairs(fields(base .. 'j', ids)) do
      if blob then
        number = number + 1
        moved[#moved + 1], lanes[#lanes + 1], blobs[#blobs + 1] = ids[i], lane, blob
        local score = score_of(priority_of(blob), tonumber(due[2 * i]))
        add_pair('ZADD', base .. 'r:' .. lane, score, ids[i])
      end
      add('ZREM', line, ids[i])
    end
    flush()
    reschedule(lane)
    if number > 0 then
      call('HINCRBY', base .. 'rn', lane, number)
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
