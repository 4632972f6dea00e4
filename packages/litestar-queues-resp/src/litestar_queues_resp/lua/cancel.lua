-- Ends jobs that wait; asks for the end of those that run, if wanted.  Answers for each:
-- 0 not known, 1 already finished, 2 cancelled, 3 requested, 4 not waiting.

may_write()
local running = take() == '1'
local ids = take_ids()
local answers, left, lasting = {}, {}, {}
local ended = fields(base .. 'f', ids)
for i, blob in ipairs(fields(base .. 'j', ids)) do
  local id = ids[i]
  if not blob then
    answers[i] = 0
  elseif ended[i] or lasting[id] then
    answers[i] = 1
  else
    local past = past_of(id, blob)
    if unplace(id, blob, past) then
      answers[i], lasting[id] = 2, true
      finish_past(id, blob, past, CANCELLED, '')
    else
      left[#left + 1] = {i, id, blob, past}
    end
  end
end
local sought = {}
for n, one in ipairs(left) do sought[n] = one[2] end
local found = owners(sought)
for _, one in ipairs(left) do
  local i, id, owner = one[1], one[2], found[one[2]]
  if owner then
    answers[i] = running and 3 or 4
    if running then
      call('SADD', base .. 'c:' .. owner[1], id)
      raise('lease:' .. owner[1])
    end
  elseif lasting[id] then
    answers[i] = 1
  elseif flagged(one[3], EXPIRES) and expires_of(one[3]) <= now then
    -- It has expired as it was about to be handed out.
    answers[i], lasting[id] = 2, true
    finish_past(id, one[3], one[4], CANCELLED, '')
  else
    answers[i] = 4
  end
end
close_ends()
return answers
