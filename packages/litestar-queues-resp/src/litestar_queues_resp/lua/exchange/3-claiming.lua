-- What is claimed.

local limit, others, suspects, after = tonumber(take()), tonumber(take()), take() == '1', take()
local caps, named, executors, claims, claimed = {}, {}, {}, {}, 0
for _ = 1, tonumber(take()) do
  local lane, cap = take(), tonumber(take())
  caps[lane] = cap
  if cap > 0 then named[#named + 1] = lane end
end
for _ = 1, tonumber(take()) do executors[take()] = true end

local has_past, has_errors, first = nil, nil, pack('>I4', 1)
local full_lane, foreign_lane, tired  -- a lane in which some are left, and why
local weight, heavy = 0, false  -- bytes of the larger requests, and whether there are too many

-- Takes at most so many ids from the head of a line, and returns them as one text, and score and
-- number of those that have the same.
local function take_ids_from(lane, room)
  local line, taken, left, number, groups = base .. 'r:' .. lane, {}, {}, 0, {}
  local first = call('ZRANGE', line, 0, 0)[1]
  if not first then return '' end
  local found = call('ZRANGE', line, 0, (#first > 16 and 3 or room) - 1, 'WITHSCORES')
  if #first > 16 and #found == 6 and found[2] == found[6] then
    found = call('ZRANGEBYSCORE', line, found[2], found[2], 'WITHSCORES', 'LIMIT', 0, 100)
  end
  local i = 1
  while i < #found and number < room do
    local score, j, many = found[i + 1], i, #found[i] > 16
    while found[j + 3] == score do
      j = j + 2
      many = many or #found[j] > 16
    end
    local last = many and j or math.min(j, i + 2 * (room - number - 1))
    local ids = {}
    for n = i, last, 2 do
      ids[#ids + 1] = found[n]
      left[#left + 1] = found[n]
    end
    ids = concat(ids)
    if many and last > i then ids = in_order(ids) end
    local most = 16 * (room - number)
    taken[#taken + 1] = sub(ids, 1, most)
    groups[#groups + 1] = {score, #taken[#taken] / 16}
    number = number + #taken[#taken] / 16
    if #ids > most then
      add_pair('ZADD', line, score, sub(ids, most + 1))
    end
    i = j + 2
  end
  in_chunks('ZREM', line, left)
  flush()
  if line_left(lane, number) then
    full_lane = lane
  elseif full_lane == lane then
    full_lane = nil
  end
  return concat(taken), groups
end

-- Puts those behind the first so many back into their line, where they were.
local function put_back(lane, together, groups, first)
  local from = 0
  for _, group in ipairs(groups) do
    local to = from + group[2]
    if to > first then
      line_up(lane, group[1], sub(together, 16 * math.max(from, first) + 1, 16 * to))
    end
    from = to
  end
  full_lane = lane
end

-- Reads requests, as many as may be answered; returns them, and how many.
local function read_some(ids)
  local blobs = {}
  for first = 1, #ids, STEP do
    local last = math.min(first + STEP - 1, #ids)
    local found = call('HMGET', base .. 'j', unpack(ids, first, last))
    for i = first, last do
      local blob = found[i - first + 1]
      if blob and #blob > BIG_BYTES then
        if weight > 0 and weight + #blob > BYTES then
          heavy = true
          return blobs, i - 1
        end
        weight = weight + #blob
      end
      blobs[i] = blob
    end
  end
  return blobs, #ids
end

-- Returns delivery and flags of a claimed job that is special, or nil if it has expired instead.
local function hold(id, blob, past)
  if flagged(blob, EXPIRES) then
    if expires_of(blob) <= now then return nil end  -- maintenance will end it
    call('ZREM', base .. 'e', id)
  end
  local flags = bit.band(byte(blob, 2), KEY + NO_RESULT)
  if flagged(blob, KEY) then release(id, blob, true) end
  if #blob > BIG_BYTES then flags = flags + BIG end
  return past and pack('>I4', match(past, '^%d+') + 1) or first, char(flags)
end

local function without(list, lost, count)
  local kept = {}
  for i = 1, count do
    if not lost[i] then kept[#kept + 1] = list[i] end
  end
  return kept
end

-- Claims from one lane; returns how many.
local function take_from(lane, room)
  local got, rounds = 0, 0
  while room > 0 do
    rounds = rounds + 1
    if rounds > ROUNDS then
      tired = true  -- most have expired: the rest of them is for another time
      break
    end
    local together, groups = take_ids_from(lane, room)
    if together == '' then break end
    local ids = split(together)
    local blobs, found = read_some(ids)
    if found < #ids then
      put_back(lane, together, groups, found)
      together = sub(together, 1, 16 * found)
      ids = split(together)
    end
    if found == 0 then break end
    if has_past == nil then
      has_past = call('EXISTS', base .. 'p') == 1
      has_errors = has_past and call('EXISTS', base .. 'x') == 1
    end
    local pasts = has_past and fields(base .. 'p', ids) or {}
    local errors, fences, flags, lost = has_errors and fields(base .. 'x', ids) or {}, {}, {}, nil
    for i = 1, found do
      local blob, delivery, flag = blobs[i], first, '\0'
      if not blob then
        delivery = nil
      elseif pasts[i] or byte(blob, 2) ~= 0 or #blob > BIG_BYTES then
        delivery, flag = hold(ids[i], blob, pasts[i])
      end
      if delivery then
        fences[#fences + 1], flags[#flags + 1] = ids[i] .. delivery, flag
      else
        lost = lost or {}
        lost[i] = true
      end
    end
    if lost then
      ids, blobs = without(ids, lost, found), without(blobs, lost, found)
      pasts = has_past and without(pasts, lost, found) or pasts
      errors = has_errors and without(errors, lost, found) or errors
      together = concat(ids)
    end
    local number = #ids
    if number > 0 then
      local field = whole(seq) .. ':' .. #claims
      local text = claim_text(now, number, number, lane, concat(flags), concat(fences))
      call('HSET', held_key(lease), field, text)
      claims[#claims + 1] = {field, together, blobs, pasts, errors}
    end
    got, room = got + number, room - number
    if heavy or full_lane ~= lane then break end
  end
  return got
end

local function home_of(lane) return sub(lane, -1) == '~' and sub(lane, 1, -2) or lane end

local function may_run(home)
  local executor = match(home, '@(.*)$')
  return not caps[home] and (not executor or executors[executor])
end

-- Lanes that are not named and that we can work on: first those behind the one served last.
local function ready_others()
  local runnable, start, upper = {}, after, '+'
  for _ = 1, 10 do
    local from = after == '' and '-' or '(' .. after
    local lanes = call('ZRANGEBYLEX', base .. 'l', from, upper, 'LIMIT', 0, LANES)
    for _, lane in ipairs(lanes) do
      after = lane
      if may_run(home_of(lane)) then
        runnable[#runnable + 1] = lane
      elseif not caps[home_of(lane)] or caps[home_of(lane)] == 0 then
        foreign_lane = lane
      end
    end
    if #runnable >= LANES then break end
    if #lanes < LANES then
      if upper ~= '+' or start == '' then break end
      after, upper = '', '[' .. start
    end
  end
  return runnable
end

-- Claims from one lane after the other, at most *most* jobs in all.
local function take_lanes(lanes, most)
  for _, lane in ipairs(lanes) do
    local home = home_of(lane)
    local room = math.min(most, limit - claimed, caps[home] or others)
    if room > 0 and not heavy then
      local got = take_from(lane, room)
      claimed, most = claimed + got, most - got
      if caps[home] then
        caps[home] = caps[home] - got
      else
        others = others - got
        if got > 0 then after = lane end
      end
    end
  end
end

-- Named lanes and the others come first in turn, and each named one in turn, so that none starves.
local function claim()
  local ordinary, doubtful = {}, {}
  local function add_named()
    local start = math.floor(turn / 2)
    for i = 1, #named do
      local lane = named[(i - 1 + start) % #named + 1]
      ordinary[#ordinary + 1], doubtful[#doubtful + 1] = lane, lane .. '~'
    end
  end
  if turn % 2 == 0 then add_named() end
  for _, lane in ipairs(others > 0 and ready_others() or {}) do
    local list = home_of(lane) == lane and ordinary or doubtful
    list[#list + 1] = lane
  end
  if turn % 2 == 1 then add_named() end
  if suspects then take_lanes(doubtful, 1) end
  take_lanes(ordinary, limit)
end

if limit > 0 then
  promote(PROMOTED)
  claim()
end
