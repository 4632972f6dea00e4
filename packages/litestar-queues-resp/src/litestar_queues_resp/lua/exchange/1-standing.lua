-- Settles, then claims; or replays.  Answers {0, clock, next due, last lane served, rejected,
-- ended, requested, claims, worker}, the same with 1 for a replay, {-1} for a lost lease, or
-- {-2, last} for a stale exchange.  A claim: its name, ids, requests, pasts, attempt records; for a
-- replay these three may be there for its first jobs only, or for none, and fences with their
-- places, start and lane follow.

may_write()  -- a replica has no say in whether a lease stands

local lease, seq, turn = take(), tonumber(take()), tonumber(take())
local mine, requests, held = base .. 'm:' .. lease, base .. 'c:' .. lease, holdings(held_key(lease))
local expires = call('ZSCORE', base .. 'a', lease)
if not expires then return {-1} end
local standing = call('HMGET', mine, 'seq', 'term', 'worker', 'rejected', 'ended', 'chained')
local last, term, worker = tonumber(standing[1]), tonumber(standing[2]), standing[3]
if last and seq < last then return {-2, last} end

local function extend(rest)
  if now - (tonumber(expires) - term) >= math.min(rest, term / 3) then
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
  local told, first, size = {}, nil, 0
  for field, ones in pairs(fences) do
    local ids, claim = {}, held.load()[field]
    for i, one in ipairs(ones) do ids[i] = sub(one, 1, 16) end
    first, size = fitting(ids, size)
    told[#told + 1] = {
      field, concat(ids), fields(base .. 'j', first), fields(base .. 'p', first),
      fields(base .. 'x', first), concat(ones), claim.started, claim.lane,
    }
  end
  return told
end

local function requested() return call('SMEMBERS', requests) end

if last == seq then
  extend(term)
  local lists = {standing[4] or '', standing[5] or ''}
  return {1, now, next_due(), '', lists[1], lists[2], requested(), held_jobs(), worker}
end

local has_requests = call('EXISTS', requests) == 1
local rejected, ended = {}, {}
