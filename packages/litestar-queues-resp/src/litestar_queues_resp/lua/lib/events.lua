-- The event log: a stream; what identifies its events (job, delivery, number); and for each job the
-- places of its events in the stream.

-- A place in the stream as bytes, in the order of places.
local function place_bytes(at)
  local first, second = match(at, '^(%d+)-(%d+)$')
  return pack('>I8I8', tonumber(first), tonumber(second))
end

local function keep_event(job, delivery, number, body)
  local name = job .. delivery .. number
  if call('SADD', base .. 'ei', name) == 0 then return end
  local at = call('XADD', base .. 'ev', '*', 't', whole(now), 'p', name, 'b', body)
  call('ZADD', base .. 'ej', 0, job .. place_bytes(at))
end

-- Takes a number of events, and keeps them if *wanted*.
local function take_events(wanted)
  for _ = 1, tonumber(take()) do
    local job, delivery, number, body = take(), take(), take(), take()
    if wanted then keep_event(job, delivery, number, body) end
  end
end
