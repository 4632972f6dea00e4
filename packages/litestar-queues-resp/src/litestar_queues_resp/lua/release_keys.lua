-- Frees keys; answers for each whether it was held.

may_write()
local answers = {}
for i = 2, #ARGV do
  local key = ARGV[i]
  answers[i - 1] = holder_of(key) and 1 or 0
  if answers[i - 1] == 1 then free_key(key) end
end
return answers
