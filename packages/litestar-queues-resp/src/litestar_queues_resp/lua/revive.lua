-- Makes finished jobs pending again.  Answers for each: {0} not known, {1, status} not finished,
-- {2} without its payload, {3, holder, task, status} its key is held, {4} revived.

local answers, ids = {}, take_ids()

local function revive(id, request, ended)
  local past, code, flags = past_of(id, request), byte(ended), byte(request, 2)
  if flagged(request, EXPIRES) then
    request = sub(request, 1, 1) .. char(flags - EXPIRES) .. sub(request, 3, 20) .. sub(request, 29)
  end
  call('HSET', base .. 'j', id, request)  -- first what a server without memory refuses
  past[1], past[8] = unpack_bytes('>I4I8', ended, 2)
  past[2], past[3], past[5] = 0, 0, 0
  call('HDEL', base .. 'f', id)
  call('ZREM', base .. 'i:' .. code, id)
  call('HINCRBY', base .. 'n', code, -1)
  put(id, request, past, lane_of(request), now)
end

for i, id in ipairs(ids) do
  local task, request, ended = take(), call('HGET', base .. 'j', id), call('HGET', base .. 'f', id)
  if not request then
    answers[i] = {0}
  elseif not ended then
    answers[i] = {1, status_of(id)}
  elseif flagged(request, DROPPED) then
    answers[i] = {2}
  else
    local holder, of
    if flagged(request, KEY) then
      local key, rule = key_of(request)
      holder, of = acquire(key, rule, id, task)
    end
    if holder then
      answers[i] = {3, holder, of, status_of(holder)}
    else
      revive(id, request, ended)
      answers[i] = {4}
    end
  end
end
return answers
