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
  local ids = call('HKEYS', held_by_us)
  if #ids == 0 then return {} end
  return {{
    ids, fields(base .. 'j', ids), fields(base .. 'p', ids), fields(base .. 'x', ids),
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
local rejected, ended, gone = {}, {}, {}

-- Jobs that have completed, as "id delivery" of 20 bytes each; with results, if there are any.
local function settle_completed()
  local fences, with_results = take(), take() == '1'
  local ids = {}
  for at = 1, #fences, 20 do ids[#ids + 1] = sub(fences, at, at + 15) end
  local helds, blobs = fields(held_by_us, ids), fields(base .. 'j', ids)
  local left = bulk('HDEL', held_by_us)
  for i, id in ipairs(ids) do
    local held, blob, result = helds[i], blobs[i], with_results and take() or ''
    local at = 20 * i
    if held and not gone[id] and sub(held, 1, 4) == sub(fences, at - 3, at) then
      gone[id] = true
      left[#left + 1] = id
      local keep = result ~= '' and not flagged(blob, NO_RESULT)
      finish(id, blob, COMPLETED, sub(held, 1, 12), worker, keep and sub(result, 2) or nil)
      if has_requests then call('SREM', requests, id) end
    else
      rejected[#rejected + 1] = sub(fences, at - 19, at)
    end
  end
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
  local held = not gone[id] and call('HGET', held_by_us, id)
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
      finish(id, blob, code, sub(held, 1, 12), worker, keep and sub(value, 2) or nil)
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

-- Hands a claimed job out; returns nil if it has expired instead.
local function hold(id, blob, past)
  if flagged(blob, EXPIRES) then
    if expires_of(blob) <= now then return nil end  -- maintenance will end it
    call('ZREM', base .. 'e', id)
  end
  if flagged(blob, KEY) then release(id, blob, true) end
  return past and pack('>I4I8', match(past, '^%d+') + 1, now) or fresh
end

local function compact(list, last_place)
  local kept = {}
  for i = 1, last_place do
    if list[i] ~= nil then kept[#kept + 1] = list[i] end
  end
  return kept
end

-- Claims from one lane; returns how many.
local function take_from(lane, room)
  local line, got = base .. 'r:' .. lane, 0
  while room > 0 do
    local asked, ids = room, call('ZRANGE', line, 0, room - 1)
    local found = #ids
    if found == 0 then break end
    call('ZREMRANGEBYRANK', line, 0, found - 1)
    if has_past == nil then
      has_past = call('EXISTS', base .. 'p') == 1
      has_errors = has_past and call('EXISTS', base .. 'x') == 1
    end
    local blobs, pasts = fields(base .. 'j', ids), has_past and fields(base .. 'p', ids) or {}
    local errors, holding, lost = has_errors and fields(base .. 'x', ids) or {}, {}, false
    for i = 1, found do
      local past, start = pasts[i], fresh
      if past or byte(blobs[i], 2) % 4 ~= 0 then start = hold(ids[i], blobs[i], past) end
      if start then
        holding[#holding + 1] = ids[i]
        holding[#holding + 1] = start .. lane
      else
        ids[i], blobs[i], lost = nil, nil, true
        if has_past then pasts[i] = nil end
        if has_errors then errors[i] = nil end
      end
    end
    if lost then
      ids, blobs = compact(ids, found), compact(blobs, found)
      pasts, errors = compact(pasts, found), compact(errors, found)
    end
    in_chunks('HSET', held_by_us, holding)
    got, room = got + #ids, room - #ids
    if #ids > 0 then claims[#claims + 1] = {ids, blobs, pasts, errors} end
    if found < asked then break end
  end
  if call('EXISTS', line) == 0 then
    call('ZREM', base .. 'l', lane)
  else
    full_lane = lane
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
