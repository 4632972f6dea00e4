-- Has the ends of jobs told to an inbox; answers with those that have ended already.

may_write()
local refusal = refused()
if refusal then return refusal end
local inbox, ended = take(), {}
local ids = take_ids()
for i, record in ipairs(fields(base .. 'f', ids)) do
  if record then
    ended[#ended + 1] = ids[i]
  else
    local known = call('HGET', base .. 't', ids[i]) or ''
    if not string.find(known, inbox, 1, true) then
      call('HSET', base .. 't', ids[i], known .. ' ' .. inbox)
    end
  end
end
return ended
