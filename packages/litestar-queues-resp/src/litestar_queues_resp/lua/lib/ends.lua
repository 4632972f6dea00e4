-- Uniqueness keys, and how jobs end.

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

-- A finished job: status, delivery, start (0 if never), end, worker, result.
local function record(code, begun, worker, result)
  return char(code) .. begun .. pack('>I8', now) .. char(#worker) .. worker
    .. (result and pack('>I4', #result + 1) .. result or '\0\0\0\0')
end

local function without_result(text)
  return sub(text, 1, 22 + byte(text, 22)) .. '\0\0\0\0'
end

local function drop_payload(id, blob)
  blob = without_payload(blob)
  call('HSET', base .. 'j', id, sub(blob, 1, 1) .. char(byte(blob, 2) + DROPPED) .. sub(blob, 3))
end

local ends = {}
local function ends_of(code)
  ends[code] = ends[code] or {}
  return ends[code]
end

local function finish(id, code, text)
  add_pair('HSET', base .. 'f', id, text)
  local done = ends_of(code)
  done[#done + 1] = id
end

-- Ends a job that waited or was given up, with its past.
local function finish_past(id, blob, past, code, worker)
  write_past(id, past)
  if flagged(blob, EXPIRES) then call('ZREM', base .. 'e', id) end
  if flagged(blob, KEY) then release(id, blob) end
  finish(id, code, record(code, pack('>I4I8', past[1], past[8]), worker))
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
    if #ids > 0 then
      call('RPUSH', base .. 'o:' .. code, pack('>I8', now) .. concat(ids))
      call('HINCRBY', base .. 'n', code, #ids)
      if code ~= COMPLETED then
        for i, blob in ipairs(fields(base .. 'j', ids)) do
          if blob then call('ZADD', base .. 'i:' .. code, whole(enqueued_of(blob)), ids[i]) end
        end
      end
      tell(ids)
    end
  end
  ends = {}
end
