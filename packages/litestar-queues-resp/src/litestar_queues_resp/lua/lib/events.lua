-- The event log: a stream, and for each event a place that tells job, delivery and number.

local function keep_event(job, delivery, number, body)
  local place = job .. delivery .. number
  local known = call(
    'ZRANGEBYLEX', base .. 'ei', '[' .. place, '[' .. place .. '\255', 'LIMIT', 0, 1
  )
  if #known > 0 then return end
  local at = call('XADD', base .. 'ev', '*', 't', whole(now), 'p', place, 'b', body)
  call('ZADD', base .. 'ei', 0, place .. at)
end

-- Takes a number of events, and keeps them if *wanted*.
local function take_events(wanted)
  for _ = 1, tonumber(take()) do
    local job, delivery, number, body = take(), take(), take(), take()
    if wanted then keep_event(job, delivery, number, body) end
  end
end
