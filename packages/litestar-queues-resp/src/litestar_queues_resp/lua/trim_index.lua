-- Shortens the index of what was enqueued together: of its oldest batches only jobs stay known
-- that are still there, one by one.  Answers how many ids it looked at.

may_write()
local limit, looked = tonumber(take()), 0
while looked < limit do
  local first = call('ZRANGE', base .. 'ib', 0, 0, 'WITHSCORES')
  if not first[1] then break end
  local ids = split(first[1])
  for i, blob in ipairs(fields(base .. 'j', ids)) do
    if blob and whole(enqueued_of(blob)) == first[2] then
      call('ZADD', base .. 'i', first[2], ids[i])
    end
  end
  call('ZREM', base .. 'ib', first[1])
  call('DECRBY', base .. 'ic', #ids)
  looked = looked + #ids
end
return looked
