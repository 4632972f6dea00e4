-- Gives back jobs of a dead lease as was decided, those that it still holds so; answers for each
-- whether it did: 1, or 2 if it ended it since its cancel was requested meanwhile.

may_write()
local lease, worker, answers = take(), take(), {}
local held = holdings(held_key(lease))
for i = 1, tonumber(take()) do
  local fence, to, lane, failure = take(), take(), take(), take()
  local claim, place = held.find(fence, '')
  answers[i] = claim and 1 or 0
  if claim then
    local id = sub(fence, 1, 16)
    held.let_go(claim, place)
    if call('SREM', base .. 'c:' .. lease, id) == 1 and to == '0' then
      to, answers[i] = tostring(CANCELLED), 2
    end
    local blob = call('HGET', base .. 'j', id)
    local past = past_of(id, blob)
    past[1], past[3], past[8] = delivery_of(fence), past[3] + 1, claim.started
    note_failure(id, failure, past, worker)
    if to == '0' then
      put(id, blob, past, lane, past[7])
    else
      finish_past(id, blob, past, tonumber(to), worker)
    end
  end
end
held.write()
close_ends()
if call('EXISTS', held_key(lease)) == 0 then call('SREM', base .. 'zh', lease) end
return answers
