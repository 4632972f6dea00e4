-- Settles, then claims; or replays.  Answers {0, clock, next due, last lane served, rejected,
-- ended, requested, claims, worker}, the same with 1 for a replay, {-1} for a lost lease, or {-2, last}
-- for a stale exchange.  Claims are ids, requests, pasts and attempt records, lane by lane; for a
-- replay also how they are held.

local lease, seq = take(), tonumber(take())
local mine, requests, held = base .. 'm:' .. lease, base .. 'c:' .. lease, holdings(held_key(lease))
local expires = call('ZSCORE', base .. 'a', lease)
if not expires then return {-1} end
local standing = call('HMGET', mine, 'seq', 'term', 'worker', 'rejected', 'ended', 'chained')
local last, term, worker = tonumber(standing[1]), tonumber(standing[2]), standing[3]
if last and seq < last then return {-2, last} end

may_write()

local function extend(rest)
  if now - (tonumber(expires) - term) >= rest then
    call('ZADD', base .. 'a', whole(now + term), lease)
  end
end

-- Everything we hold, claim by claim.
local function held_jobs()
  local fences = {}
  held.each(function(_, place, _, fence, field)
    fences[field] = fences[field] or {}
    fences[field][#fences[field] + 1] = fence .. pack('>H', place)
  end)
  local told = {}
  for field, ones in pairs(fences) do
    local ids, claim = {}, held.load()[field]
    for i, one in ipairs(ones) do ids[i] = sub(one, 1, 16) end
    told[#told + 1] = {
      field, concat(ids), fields(base .. 'j', ids), fields(base .. 'p', ids),
      fields(base .. 'x', ids), concat(ones), claim.started, claim.lane,
    }
  end
  return told
end

local function requested() return call('SMEMBERS', requests) end

if last == seq then
  extend(term / 3)
  local lists = {standing[4] or '', standing[5] or ''}
  return {1, now, next_due(), '', lists[1], lists[2], requested(), held_jobs(), worker}
end

local has_requests = call('EXISTS', requests) == 1
local rejected, ended = {}, {}

-- Settles a completed job that is special in some way; returns its result.
local function complete_special(id, flags, result)
  local blob = call('HGET', base .. 'j', id)
  if flagged(blob, KEY) then release(id, blob) end
  if bit.band(flags, BIG) ~= 0 then drop_payload(id, blob) end
  return flagged(blob, NO_RESULT) and '' or result
end

-- Jobs of one claim that have completed, as fences of 20 bytes each; their places in it (2 bytes
-- each, or nothing if it is all of them), and their results, if there are any.
local function settle_completed()
  local field, places, fences, with_results = take(), take(), take(), take() == '1'
  local done, texts, n = ends_of(COMPLETED), {}, 0
  local after = pack('>I8', now) .. char(#worker) .. worker
  local plain = after .. '\0\0\0\0'
  local delivery, started, text  -- mostly the same for all of them
  local all = places == '' and held.whole(field, fences)
  local at = 0
  for i = 1, #fences / 20 do
    local fence, result = sub(fences, at + 1, at + 20), with_results and take() or ''
    local claim, place = all, i
    at = at + 20
    if not all then
      if places ~= '' then place = unpack_bytes('>H', places, 2 * i - 1) end
      claim, place = held.find(fence, field, place)
    end
    if claim then
      local id, flags = sub(fence, 1, 16), byte(claim.flags, place)
      if flags ~= 0 then result = complete_special(id, flags, result) end
      local try = sub(fence, 17, 20)
      if result ~= '' or try ~= delivery or claim.started ~= started then
        delivery, started = try, claim.started
        text = char(COMPLETED) .. try .. pack('>I8', started)
          .. (result == '' and plain or after .. pack('>I4', #result) .. sub(result, 2))
        if result ~= '' then delivery = nil end
      end
      texts[n + 1], texts[n + 2] = id, text
      n = n + 2
      done[#done + 1] = id
      if has_requests then call('SREM', requests, id) end
      held.let_go(claim, place)
    else
      rejected[#rejected + 1] = fence
    end
  end
  in_chunks('HSET', base .. 'f', texts)
end

local function take_follow_ups(wanted)
  for _ = 1, tonumber(take()) do
    local id = take()
    take_one(id, not wanted or call('HEXISTS', base .. 'j', id) == 1)
  end
end

-- Any other settlement: what is to be done was decided before.
local function settle_one()
  local field, place, fence, to, delay = take(), tonumber(take()), take(), take(), tonumber(take())
  local attempts, snoozes, put_backs = tonumber(take()), tonumber(take()), tonumber(take())
  local clears, stays, value, failure = take() == '1', take() == '1', take(), take()
  local id = sub(fence, 1, 16)
  local claim
  claim, place = held.find(fence, field, place)
  local waits, struck = to == 'waits', false
  if not claim then
    rejected[#rejected + 1] = fence
  elseif to == 'progress' then
    call('HSET', base .. 'g', id, sub(value, 2))
  else
    held.let_go(claim, place)
    local lane = claim.lane
    local blob = call('HGET', base .. 'j', id)
    local past, has = past_of(id, blob)
    past[1], past[8] = delivery_of(fence), claim.started
    past[2], past[4], past[5] = past[2] + attempts, past[4] + snoozes, past[5] + put_backs
    if failure ~= '' then note_failure(id, failure, past, worker) end
    struck = waits and has_requests and call('SISMEMBER', requests, id) == 1
    if has_requests then call('SREM', requests, id) end
    if struck then ended[#ended + 1] = fence end
    if waits and not struck then
      if clears then lane = lane_of(blob) end
      put(id, blob, past, lane, stays and past[7] or now + delay)
    else
      local code = struck and CANCELLED or tonumber(to)
      local keep = code == COMPLETED and value ~= '' and not flagged(blob, NO_RESULT)
      if has or attempts > 0 then write_past(id, past) end
      if flagged(blob, KEY) then release(id, blob) end
      if code == COMPLETED and #blob > BIG_BYTES then drop_payload(id, blob) end
      finish(id, code, record(code, pack('>I4I8', past[1], past[8]), worker, keep and sub(value, 2) or nil))
    end
  end
  take_follow_ups(claim and not struck)
  take_events(claim)
  take_events(claim and not struck)
  take_events(struck)
end

local settled = 0
while true do
  local kind = take()
  if kind == 'completed' then
    settle_completed()
  elseif kind == 'one' then
    settle_one()
  else
    break
  end
  settled = settled + 1
end
held.write()
close_ends()

-- Claims.
local limit, others, suspects, after = tonumber(take()), tonumber(take()), take() == '1', take()
local caps, named, executors, claims, claimed = {}, {}, {}, {}, 0
for _ = 1, tonumber(take()) do
  local lane, cap = take(), tonumber(take())
  caps[lane] = cap
  if cap > 0 then named[#named + 1] = lane end
end
for _ = 1, tonumber(take()) do executors[take()] = true end

local has_past, has_errors, first = nil, nil, pack('>I4', 1)
local full_lane

-- Takes at most so many ids from the head of a line, and returns them as one text.
local function take_ids_from(lane, room)
  local line, taken, left, number = base .. 'r:' .. lane, {}, {}, 0
  local first = call('ZRANGE', line, 0, 0)[1]
  if not first then return '' end
  local found = call('ZRANGE', line, 0, (#first > 16 and 3 or room) - 1, 'WITHSCORES')
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
  return concat(taken)
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
  local got = 0
  while room > 0 do
    local together = take_ids_from(lane, room)
    local ids = split(together)
    local found = #ids
    if found == 0 then break end
    if has_past == nil then
      has_past = call('EXISTS', base .. 'p') == 1
      has_errors = has_past and call('EXISTS', base .. 'x') == 1
    end
    local blobs, pasts = fields(base .. 'j', ids), has_past and fields(base .. 'p', ids) or {}
    local errors, fences, flags, lost = has_errors and fields(base .. 'x', ids) or {}, {}, {}, nil
    for i = 1, found do
      local blob, delivery, flag = blobs[i], first, '\0'
      if pasts[i] or byte(blob, 2) ~= 0 or #blob > BIG_BYTES then
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
    if full_lane ~= lane then break end
  end
  return got
end

local function home_of(lane) return sub(lane, -1) == '~' and sub(lane, 1, -2) or lane end

local function may_run(home)
  local executor = match(home, '@(.*)$')
  return not caps[home] and (not executor or executors[executor])
end

local function ready_others()
  local lanes = call('ZRANGEBYLEX', base .. 'l', '(' .. after, '+', 'LIMIT', 0, LANES)
  if #lanes < LANES and after ~= '' then
    for _, lane in ipairs(call('ZRANGEBYLEX', base .. 'l', '-', '[' .. after, 'LIMIT', 0, LANES)) do
      lanes[#lanes + 1] = lane
    end
  end
  if #lanes > 0 then after = lanes[#lanes] end
  return lanes
end

-- Claims from one lane after the other, at most *most* jobs in all.
local function take_lanes(lanes, most)
  for _, lane in ipairs(lanes) do
    local home = home_of(lane)
    local room = math.min(most, limit - claimed, caps[home] or others)
    if room > 0 then
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

if limit > 0 then
  promote(PROMOTED)
  local turn, ordinary, doubtful = #named > 0 and seq % #named or 0, {}, {}
  for i = 1, #named do
    local lane = named[(i - 1 + turn) % #named + 1]
    ordinary[i], doubtful[i] = lane, lane .. '~'
  end
  if others > 0 then
    for _, lane in ipairs(ready_others()) do
      local home = home_of(lane)
      if may_run(home) then
        if home == lane then
          ordinary[#ordinary + 1] = lane
        else
          doubtful[#doubtful + 1] = lane
        end
      end
    end
  end
  if suspects then take_lanes(doubtful, 1) end
  take_lanes(ordinary, limit)
end

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
