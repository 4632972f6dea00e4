-- Shortens the journal of what was enqueued: of its oldest pieces only jobs stay known that are
-- still there, one by one.  Answers how many ids it looked at.

may_write()
local limit, looked = tonumber(take()), 0
while looked < limit do
  local piece = call('ZRANGE', base .. 'ib', 0, 0)[1]
  if not piece then break end
  for _, group in ipairs(groups_of(piece)) do
    local ids = split(group[2])
    for i, blob in ipairs(fields(base .. 'j', ids)) do
      if blob and whole(enqueued_of(blob)) == group[1] then
        call('ZADD', base .. 'i', group[1], ids[i])
      end
    end
    looked = looked + #ids
  end
  call('ZREM', base .. 'ib', piece)
  call('DECRBY', base .. 'ic', math.floor(#piece / 16))
end
return looked
