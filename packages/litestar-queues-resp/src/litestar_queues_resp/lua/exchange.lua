-- Settles, then claims; or replays.  Answers {0, clock, next due, last lane served, rejected,
-- ended, requested, claims}, the same with 1 for a replay, {-1} for a lost lease, or {-2, last}
-- for a stale exchange.  Claims are ids, requests, pasts and attempt records, lane by lane; for a
-- replay also how they are held.

local lease, seq = take(), tonumber(take())
local mine, held_by_us, requests = base .. 'm:' .. lease, base .. 'h:' .. lease, base .. 'c:' .. lease
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

local function held_jobs()
  local ids = {}
  for _, id in ipairs(call('HKEYS', held_by_us)) do
    if id ~= '' then ids[#ids + 1] = id end
  end
  if #ids == 0 then return {} end
  return {{
    concat(ids), fields(base .. 'j', ids), fields(base .. 'p', ids), fields(base .. 'x', ids),
    fields(held_by_us, ids),
  }}
end

local function requested() return call('SMEMBERS', requests) end

if last == seq then
  extend(term / 3)
  local lists = {standing[4] or '', standing[5] or ''}
  return {1, now, next_due(), '', lists[1], lists[2], requested(), held_jobs()}
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

-- Jobs that have completed, as "id delivery" of 20 bytes each; with results, if there are any.
local function settle_completed()
  local fences, with_results = take(), take() == '1'
  local ids = {}
  for at = 1, #fences, 20 do ids[#ids + 1] = sub(fences, at, at + 15) end
  local code, after = char(COMPLETED), pack('>I8', now) .. char(#worker) .. worker
  local plain = after .. '\0\0\0\0'
  local helds, done, texts, n = fields(held_by_us, ids), ends_of(COMPLETED), {}, 0
  local left, at = {}, 0
  for i = 1, #ids do
    local held, result, tail, id = helds[i], with_results and take() or '', plain, ids[i]
    at = at + 20
    if held and sub(held, 1, 4) == sub(fences, at - 3, at) then
      local flags = byte(held, 13)
      if flags ~= 0 then result = complete_special(id, flags, result) end
      if result ~= '' then tail = after .. pack('>I4', #result) .. sub(result, 2) end
      texts[n + 1], texts[n + 2] = id, code .. sub(held, 1, 12) .. tail
      n = n + 2
      left[#left + 1] = id
      done[#done + 1] = id
      if has_requests then call('SREM', requests, id) end
    else
      rejected[#rejected + 1] = sub(fences, at - 19, at)
    end
  end
  in_chunks('HDEL', held_by_us, left)
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
  local fence, to, delay = take(), take(), tonumber(take())
  local attempts, snoozes, put_backs = tonumber(take()), tonumber(take()), tonumber(take())
  local clears, stays, value, failure = take() == '1', take() == '1', take(), take()
  local id = sub(fence, 1, 16)
  local held = call('HGET', held_by_us, id)
  local holds = held and sub(held, 1, 4) == sub(fence, 17, 20)
  local waits, struck = to == 'waits', false
  if not holds then
    rejected[#rejected + 1] = fence
  elseif to == 'progress' then
    call('HSET', base .. 'g', id, sub(value, 2))
  else
    call('HDEL', held_by_us, id)
    local delivery, started, lane = read_held(held)
    local blob = call('HGET', base .. 'j', id)
    local past, has = past_of(id, blob)
    past[1], past[8] = delivery, started
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
      finish(id, code, record(code, sub(held, 1, 12), worker, keep and sub(value, 2) or nil))
    end
  end
  take_follow_ups(holds and not struck)
  take_events(holds)
  take_events(holds and not struck)
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

local has_past, has_errors, fresh = nil, nil, pack('>I4I8', 1, now)
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

-- Returns how a claimed job is held, or nil if it has expired instead.
local function hold(id, blob, past)
  if flagged(blob, EXPIRES) then
    if expires_of(blob) <= now then return nil end  -- maintenance will end it
    call('ZREM', base .. 'e', id)
  end
  local flags = bit.band(byte(blob, 2), KEY + NO_RESULT)
  if flagged(blob, KEY) then release(id, blob, true) end
  if #blob > BIG_BYTES then flags = flags + BIG end
  local start = past and pack('>I4I8', match(past, '^%d+') + 1, now) or fresh
  return start .. char(flags)
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
  local got, plain = 0, fresh .. '\0' .. lane
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
    local errors, holding, lost, n = has_errors and fields(base .. 'x', ids) or {}, {}, nil, 0
    for i = 1, found do
      local blob, held = blobs[i], plain
      if pasts[i] or byte(blob, 2) ~= 0 or #blob > BIG_BYTES then
        held = hold(ids[i], blob, pasts[i])
        if held then
          held = held .. lane
        else
          lost = lost or {}
          lost[i] = true
        end
      end
      if held then
        holding[n + 1], holding[n + 2] = ids[i], held
        n = n + 2
      end
    end
    if lost then
      ids, blobs = without(ids, lost, found), without(blobs, lost, found)
      pasts = has_past and without(pasts, lost, found) or pasts
      errors = has_errors and without(errors, lost, found) or errors
      together = concat(ids)
    end
    in_chunks('HSET', held_by_us, holding)
    got, room = got + #ids, room - #ids
    if #ids > 0 then claims[#claims + 1] = {together, blobs, pasts, errors} end
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
return {0, now, next_due(), after, concat(rejected), concat(ended), requested(), claims}
