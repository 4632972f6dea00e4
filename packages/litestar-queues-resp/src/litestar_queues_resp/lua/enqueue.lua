-- Takes jobs: their ids, then in this order groups of plain ones and single others.
-- Answers with pairs: place in the batch, and what take_one() says.

local ids = take_ids()
local known = fields(base .. 'j', ids)
local seen, answers = {}, {}

local function is_known(i)
  local id = ids[i]
  if seen[id] then return true end
  seen[id] = true
  return known[i]
end

-- Jobs of one lane and priority, due now, without a key or anything else.
local function take_plain(first, many)
  local flags, lane, priority = tonumber(take()), take(), tonumber(take())
  local start = head(flags, priority, now)
  local score = whole(now - priority * RANK)
  local jobs, line, index = {}, {}, {}
  for i = first, first + many - 1 do
    local tail = take()
    if not is_known(i) then
      local id = ids[i]
      local at = #line
      jobs[at + 1], jobs[at + 2] = id, start .. tail
      line[at + 1], line[at + 2] = score, id
      index[at + 1], index[at + 2] = '0', id
    end
  end
  if #jobs > 0 then
    in_chunks('HSET', base .. 'j', jobs)
    in_chunks('ZADD', base .. 'i', index)
    in_chunks('ZADD', base .. 'r:' .. lane, line)
    call('ZADD', base .. 'l', 0, lane)
    wake(lane)
  end
end

local i = 1
while i <= #ids do
  local many = tonumber(take())
  if many > 0 then
    take_plain(i, many)
    i = i + many
  else
    local answer = take_one(ids[i], is_known(i))
    if answer then answers[#answers + 1] = {i, answer} end
    i = i + 1
  end
end

-- A job that was known is answered as if it had just been taken: scheduled, if it is due later.
for place, blob in pairs(known) do
  if blob and not is_finished(blob) and past_of(ids[place], blob)[7] > now then
    answers[#answers + 1] = {place, {1}}
  end
end
return answers
