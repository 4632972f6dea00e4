-- Ends that.

may_write()
local inbox = take()
local ids = take_ids()
for i, known in ipairs(fields(base .. 't', ids)) do
  if known then
    local left = string.gsub(known, ' ' .. inbox, '', 1)
    if left == '' then
      call('HDEL', base .. 't', ids[i])
    else
      call('HSET', base .. 't', ids[i], left)
    end
  end
end
return 0
