-- Gives back jobs of a dead lease as was decided, those that it still holds so; answers for each
-- whether it did.

may_write()
local lease, worker, answers = take(), take(), {}
local helds = base .. 'h:' .. lease
for i = 1, tonumber(take()) do
  local fence, to, lane, failure = take(), take(), take(), take()
  local id = sub(fence, 1, 16)
  local held = call('HGET', helds, id)
  answers[i] = 0
  if held and sub(held, 1, 4) == sub(fence, 17, 20) then
    answers[i] = 1
    call('HDEL', helds, id)
    call('SREM', base .. 'c:' .. lease, id)
    local blob = call('HGET', base .. 'j', id)
    local past = past_of(id, blob)
    past[1], past[8] = read_held(held)
    past[3] = past[3] + 1
    note_failure(id, failure, past, worker)
    if to == '0' then
      put(id, blob, past, lane, past[7])
    else
      finish_past(id, blob, past, tonumber(to), worker)
    end
  end
end
close_ends()
if call('EXISTS', helds) == 0 then call('SREM', base .. 'zh', lease) end
return answers
