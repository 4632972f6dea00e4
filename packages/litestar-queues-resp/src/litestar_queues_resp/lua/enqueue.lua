-- Takes jobs: their ids, then in this order groups of plain ones and single others.
-- Answers with pairs: place in the batch, and what take_one() says.

local refusal = refused()
if refusal then return refusal end

local together = take()
local ids = split(together)
local known = fields(base .. 'j', ids)
local answers = {}

-- Jobs of one lane and priority in the order of their ids, due now, with nothing special.
local function take_plain(first, many)
  local flags, lane, priority = tonumber(take()), take(), tonumber(take())
  local start, jobs, n, fresh = head(flags, priority, now), {}, 0, {}
  for i = first, first + many - 1 do
    taken = taken + 1
    if not known[i] then
      jobs[n + 1], jobs[n + 2] = ids[i], start .. ARGV[taken]
      n = n + 2
      fresh[#fresh + 1] = ids[i]
    end
  end
  if n == 0 then return end
  local all = n == 2 * many and sub(together, 16 * first - 15, 16 * (first + many - 1))
  local text = all or concat(fresh)
  in_chunks('HSET', base .. 'j', jobs)
  index(text)
  line_up(lane, score_of(priority, now), text)
  wake(lane)
end

local i = 1
while i <= #ids do
  local many = tonumber(take())
  if many > 0 then
    take_plain(i, many)
    i = i + many
  else
    local answer = take_one(ids[i], known[i])
    if answer then answers[#answers + 1] = {i, answer} end
    i = i + 1
  end
end

-- A job that was known is answered as if it had just been taken: scheduled, if it is due later.
for place, blob in pairs(known) do
  if blob and past_of(ids[place], blob)[7] > now and call('HEXISTS', base .. 'f', ids[place]) == 0 then
    answers[#answers + 1] = {place, {1}}
  end
end
return answers
