-- Raises topics.

may_write()
for i = 2, #ARGV do
  local lane = match(ARGV[i], '^lane:(.*)$')
  local id = match(ARGV[i], '^job:(.*)$')
  if lane then
    wake(lane)
  elseif id then
    tell({(string.gsub(string.gsub(id, '-', ''), '%x%x', function(two) return char(tonumber(two, 16)) end))})
  else
    raise(ARGV[i])
  end
end
return #ARGV - 1
