-- Jobs: how their bytes are read, where they wait, how they end.  layout.py has the layout.

local function flagged(blob, flag)
  return bit.band(byte(blob, 2), flag) ~= 0
end

local function is_finished(blob) return byte(blob) >= ENDED end

local function priority_of(blob)
  return byte(blob, 3) * 256 + byte(blob, 4) - 32768
end

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

-- Lets a job wait: pending if it is due, else scheduled.
local function place(id, lane, priority, due)
  if due <= now then
    call('ZADD', base .. 'r:' .. lane, whole(math.max(due, 0) - priority * RANK), id)
    call('ZADD', base .. 'l', 0, lane)
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
local function unplace(id, lane)
  if call('ZREM', base .. 'r:' .. lane, id) == 1 then
    if call('EXISTS', base .. 'r:' .. lane) == 0 then call('ZREM', base .. 'l', lane) end
    return 0
  end
  if call('ZREM', base .. 's:' .. lane, id) == 1 then
    reschedule(lane)
    return 1
  end
end

-- Keys.  A value is: instant at which it is free or 0, job, task.
local function free_key(key)
  call('HDEL', base .. 'k', key)
  call('ZREM', base .. 'kt', key)
end

local function holder_of(key)
  local value = call('HGET', base .. 'k', key)
  if not value then return nil end
  local frees, id, task = unpack_bytes('>d', value), sub(value, 9, 24), sub(value, 25)
  if frees > 0 and frees <= now then
    free_key(key)
    return nil
  end
  return id, task
end

-- Gives a key to a job; returns the other job that holds it, and its task, if one does.
local function acquire(key, rule, id, task)
  local holder, of = holder_of(key)
  if holder == id then return nil end
  if holder then return holder, of end
  local frees = rule >= 0 and now + rule or 0
  call('HSET', base .. 'k', key, pack('>d', frees) .. id .. task)
  if rule >= 0 then call('ZADD', base .. 'kt', whole(frees), key) end
end

local function release(id, blob, started)
  local key, rule = key_of(blob)
  if rule == STARTED or (rule == FINISHED and not started) then
    if holder_of(key) == id then free_key(key) end
  end
end

-- A finished job: status, delivery, start (0 if never), end, worker, result, and its request.
local function record(code, begun, worker, result, blob)
  if code == COMPLETED and #blob > KEEP and unpack_bytes('>I4', blob, tail_at(blob)) > KEEP then
    blob = without_payload(blob)
    blob = sub(blob, 1, 1) .. char(byte(blob, 2) + DROPPED) .. sub(blob, 3)
  end
  return char(ENDED + code) .. begun .. pack('>I8', now) .. char(#worker) .. worker
    .. (result and pack('>I4', #result + 1) .. result or '\0\0\0\0') .. blob
end

local function request_at(ended)
  local at = 22 + byte(ended, 22) + 1
  return at + 4 + math.max(unpack_bytes('>I4', ended, at) - 1, 0)
end

local ends = {}
local function finish(id, blob, code, begun, worker, result)
  add_pair('HSET', base .. 'j', id, record(code, begun, worker, result, blob))
  if flagged(blob, KEY) then release(id, blob) end
  if not ends[code] then ends[code] = {} end
  ends[code][#ends[code] + 1] = id
end

-- Ends a job that waited or was given up, with its past.
local function finish_past(id, blob, past, code, worker)
  write_past(id, past)
  if flagged(blob, EXPIRES) then call('ZREM', base .. 'e', id) end
  finish(id, blob, code, pack('>I4I8', past[1], past[8]), worker)
end

-- Tells those who wait for the ends of jobs.
local function tell(ids)
  if call('EXISTS', base .. 't') == 0 then return end
  for i, inboxes in ipairs(fields(base .. 't', ids)) do
    if inboxes then
      call('HDEL', base .. 't', ids[i])
      for inbox in string.gmatch(inboxes, '%S+') do
        call('ZADD', base .. 'b:' .. inbox, 0, ids[i])
        call('PEXPIRE', base .. 'b:' .. inbox, MARKER_MS)
      end
    end
  end
end

-- Writes what finish() has collected; each status has its list of batches, in order of ends.
local function close_ends()
  flush()
  for code, ids in pairs(ends) do
    call('RPUSH', base .. 'o:' .. code, pack('>I8', now) .. concat(ids))
    call('HINCRBY', base .. 'n', code, #ids)
    if code ~= COMPLETED then
      for _, id in ipairs(ids) do call('ZADD', base .. 'i:' .. code, 0, id) end
    end
    tell(ids)
  end
  ends = {}
end

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

-- What a lease holds a job by: delivery (4 bytes), start (8), lane.
local function read_held(held)
  local delivery, started = unpack_bytes('>I4I8', held)
  return delivery, started, sub(held, 13)
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
      local score = math.max(tonumber(due[2 * i]), 0) - priority_of(blob) * RANK
      add_pair('ZADD', base .. 'r:' .. lane, whole(score), ids[i])
      add('ZREM', line, ids[i])
    end
    flush()
    reschedule(lane)
    if #ids > 0 then
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
