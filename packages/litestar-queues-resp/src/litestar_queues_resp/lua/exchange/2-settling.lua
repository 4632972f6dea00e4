-- What is settled, in order.

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
    if value == '' then
      call('HDEL', base .. 'g', id)
    else
      call('HSET', base .. 'g', id, sub(value, 2))
    end
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
      if has or attempts + snoozes + put_backs > 0 then write_past(id, past) end
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
