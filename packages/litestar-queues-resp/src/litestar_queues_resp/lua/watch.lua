-- Has the ends of jobs told to an inbox; answers with those that have ended already.

local inbox, ended = take(), {}
local ids = take_ids()
for i, blob in ipairs(fields(base .. 'j', ids)) do
  if blob and is_finished(blob) then
    ended[#ended + 1] = ids[i]
  else
    local known = call('HGET', base .. 't', ids[i]) or ''
    if not string.find(known, inbox, 1, true) then
      call('HSET', base .. 't', ids[i], known .. ' ' .. inbox)
    end
  end
end
return ended
