-- Jobs: how their bytes are read, where they wait, how they end.  layout.py has the layout.

local function flagged(blob, flag)
  return bit.band(byte(blob, 2), flag) ~= 0
end

local function priority_of(blob)
  return byte(blob, 3) * 256 + byte(blob, 4) - 32768
end

local function enqueued_of(blob) return (unpack_bytes('>I8', blob, 5)) end
local function due_of(blob) return (unpack_bytes('>I8', blob, 13)) end
local function expires_of(blob) return (unpack_bytes('>I8', blob, 21)) end
local function tail_at(blob) return flagged(blob, EXPIRES) and 29 or 21 end

local function head(flags, priority, due, expires)
  local fixed = pack('>BBHI8I8', 1, flags, priority + 32768, now, math.max(due, 0))
  return expires and fixed .. pack('>I8', math.max(expires, 0)) or fixed
end

local function lane_of(blob)
  local at = tail_at(blob) + 4
  return sub(blob, at + 1, at + byte(blob, at))
end

-- Returns the key and its rule: milliseconds, or a negative code.
local function key_of(blob)
  local at = tail_at(blob) + 4
  at = at + byte(blob, at) + 1
  local length = unpack_bytes('>H', blob, at)
  return sub(blob, at + 2, at + 1 + length), (unpack_bytes('>d', blob, at + 2 + length))
end

local function without_payload(blob)
  local at = tail_at(blob)
  local length = unpack_bytes('>I4', blob, at)
  return sub(blob, 1, at - 1) .. '\0\0\0\0' .. sub(blob, at + 4, #blob - length)
end

-- The past of a job that has been through something, as text in a hash of its own:
-- delivery, attempt, rescues, snoozes, put_backs, suspect (0 or 1), due, started.
-- Returns it, and whether it is kept already.
local function past_of(id, blob)
  local text = call('HGET', base .. 'p', id)
  if not text then return {0, 0, 0, 0, 0, 0, due_of(blob), 0}, false end
  local past = {}
  for number in string.gmatch(text, '%S+') do past[#past + 1] = tonumber(number) end
  return past, true
end

local function write_past(id, past)
  local words = {}
  for i = 1, 8 do words[i] = whole(past[i]) end
  call('HSET', base .. 'p', id, concat(words, ' '))
end

local function lane_now(blob, past)
  return past[6] == 1 and lane_of(blob) .. '~' or lane_of(blob)
end

-- Attempt records: lines of JSON, the last ones are kept.
local function note(id, line)
  local known = call('HGET', base .. 'x', id)
  if known then
    line = known .. '\n' .. line
    local _, breaks = string.gsub(line, '\n', '\n')
    for _ = KEPT, breaks do line = string.gsub(line, '^[^\n]*\n', '', 1) end
  end
  call('HSET', base .. 'x', id, line)
end

-- Completes what the worker says of a failure (JSON without its first brace).
local function note_failure(id, failure, past, worker)
  local times = string.format(
    '{"delivery":%.0f,"started_ms":%.0f,"finished_ms":%.0f,"worker":', past[1], past[8], now
  )
  note(id, times .. cjson.encode(worker) .. ',' .. failure)
end

local function score_of(priority, due)
  return whole(math.max(due, 0) - priority * RANK)
end

-- Lines of pending jobs.  A member is one id, or several in their order: what was enqueued together
-- is kept and handed out together, for a fraction of the cost.
local function line_up(lane, score, ids)
  call('ZADD', base .. 'r:' .. lane, score, ids)
  call('HINCRBY', base .. 'rn', lane, #ids / 16)
  call('ZADD', base .. 'l', 0, lane)
end

local function line_left(lane, number)
  if call('EXISTS', base .. 'r:' .. lane) == 1 then
    call('HINCRBY', base .. 'rn', lane, -number)
    return true
  end
  call('HDEL', base .. 'rn', lane)
  call('ZREM', base .. 'l', lane)
  return false
end

-- Finds the member of a line that has an id; returns it and where in it the id begins.
local function locate(id, lane, score)
  local line, offset = base .. 'r:' .. lane, 0
  if call('ZSCORE', line, id) then return id, 1 end
  while true do
    local members = call('ZRANGEBYSCORE', line, score, score, 'LIMIT', offset, 500)
    for _, member in ipairs(members) do
      local at = #member > 16 and find_aligned(member, id, 16)
      if at then return member, at end
    end
    if #members < 500 then return nil end
    offset = offset + 500
  end
end

-- Returns the status of a job that waits in its line: 0 pending, 1 scheduled; or nil.
local function waiting_status(id, blob, past)
  local lane = lane_now(blob, past)
  if call('ZSCORE', base .. 's:' .. lane, id) then return 1 end
  return locate(id, lane, score_of(priority_of(blob), past[7])) and 0 or nil
end

-- Lets a job wait: pending if it is due, else scheduled.
local function place(id, lane, priority, due)
  if due <= now then
    line_up(lane, score_of(priority, due), id)
  else
    call('ZADD', base .. 's:' .. lane, whole(due), id)
    call('ZADD', base .. 'd', 'LT', whole(due), lane)
  end
  if due <= now + SOON then wake(lane) end
end

-- Lets a job wait that stood elsewhere, with what has become of it.
local function put(id, blob, past, lane, due)
  past[6] = sub(lane, -1) == '~' and 1 or 0
  past[7] = due
  write_past(id, past)
  if flagged(blob, EXPIRES) then call('ZADD', base .. 'e', whole(expires_of(blob)), id) end
  place(id, lane, priority_of(blob), due)
end

-- Notes when the first scheduled job of a lane is due, after some were taken out.
local function reschedule(lane)
  local first = call('ZRANGE', base .. 's:' .. lane, 0, 0, 'WITHSCORES')
  if first[2] then
    call('ZADD', base .. 'd', first[2], lane)
  else
    call('ZREM', base .. 'd', lane)
  end
end

-- Takes a job out of the line it waits in; returns its status as it was, or nil.
local function unplace(id, blob, past)
  local lane, score = lane_now(blob, past), score_of(priority_of(blob), past[7])
  local member, at = locate(id, lane, score)
  if member then
    call('ZREM', base .. 'r:' .. lane, member)
    local others = sub(member, 1, at - 1) .. sub(member, at + 16)
    if others ~= '' then call('ZADD', base .. 'r:' .. lane, score, others) end
    line_left(lane, 1)
    return 0
  end
  if call('ZREM', base .. 's:' .. lane, id) == 1 then
    reschedule(lane)
    return 1
  end
end
