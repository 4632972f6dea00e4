-- Ends waiting jobs whose time is over; answers with pairs of old status and request.

may_write()
local ids = call('ZRANGEBYSCORE', base .. 'e', '-inf', whole(now), 'LIMIT', 0, tonumber(take()))
local moved = {}
for i, blob in ipairs(fields(base .. 'j', ids)) do
  local id = ids[i]
  if blob then
    local past = past_of(id, blob)
    local old = unplace(id, blob, past) or 0
    finish_past(id, blob, past, EXPIRED, '')
    moved[#moved + 1] = {id, old, without_payload(blob)}
  else
    call('ZREM', base .. 'e', id)
  end
end
close_ends()
return moved
