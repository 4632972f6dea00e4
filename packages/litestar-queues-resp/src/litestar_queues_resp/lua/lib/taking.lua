-- Taking new jobs.

-- Returns where a job stands: the place of its status in layout.STATUSES, or -1 if not known.
local function status_of(id)
  local blob = call('HGET', base .. 'j', id)
  if not blob then return -1 end
  local ended = call('HGET', base .. 'f', id)
  if ended then return byte(ended) end
  return waiting_status(id, blob, past_of(id, blob)) or (owners({id})[id] and 2) or 0
end

-- The index of all jobs: a journal of those that were enqueued together, as instant (8 bytes),
-- number (2), ids; cut into pieces, each known by its last instant.
local function index(ids)
  local size = call('APPEND', base .. 'io', pack('>I8H', now, #ids / 16) .. ids)
  if size >= PIECE then
    call('ZADD', base .. 'ib', whole(now), call('GET', base .. 'io'))
    call('DEL', base .. 'io')
    call('INCRBY', base .. 'ic', math.floor(size / 16))
  end
end

-- Returns the groups of a piece, in their order: instant and ids.
local function groups_of(piece)
  local groups, at = {}, 1
  while at < #piece do
    local instant, number = unpack_bytes('>I8H', piece, at)
    groups[#groups + 1] = {whole(instant), sub(piece, at + 10, at + 9 + 16 * number)}
    at = at + 10 + 16 * number
  end
  return groups
end

-- An instant as it is sent: '' is now, '+5' in five milliseconds, else absolute.
local function instant(text, from)
  if text == '' then return from end
  return sub(text, 1, 1) == '+' and from + sub(text, 2) or tonumber(text)
end

-- Takes one job, whose fields come next; *known* if its id is.  Returns what the answer says
-- beyond "pending": nothing, {1} for scheduled, or {holder, task, status} of its key's holder.
local function take_one(id, known)
  local flags, lane, priority = tonumber(take()), take(), tonumber(take())
  local due, expires, tail = take(), take(), take()
  local keyed = bit.band(flags, KEY) ~= 0
  local key, rule, task
  if keyed then key, rule, task = take(), tonumber(take()), take() end
  if known then return nil end
  if keyed then
    local holder, of = acquire(key, rule, id, task)
    if holder then return {holder, of, status_of(holder)} end
  end
  due = instant(due, now)
  expires = bit.band(flags, EXPIRES) ~= 0 and instant(expires, due) or nil
  call('HSET', base .. 'j', id, head(flags, priority, due, expires) .. tail)
  index(id)
  if expires then call('ZADD', base .. 'e', whole(expires), id) end
  place(id, lane, priority, due)
  return due > now and {1} or nil
end
