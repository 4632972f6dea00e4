-- Removes finished jobs that are too old or too many, at most so many; answers how many, and
-- whether there may be more.

may_write()
local short, failed, most, limit = tonumber(take()), tonumber(take()), tonumber(take()), tonumber(take())
local total, counts = 0, call('HGETALL', base .. 'n')
for i = 2, #counts, 2 do total = total + counts[i] end
local removed, looked = 0, 0

local function remove(ids, code, ended)
  local gone, stamp = {}, pack('>I8', ended)
  for i, record in ipairs(fields(base .. 'f', ids)) do
    -- One that was revived since has another end, or none.
    if record and byte(record) == code and sub(record, 14, 21) == stamp then
      gone[#gone + 1] = ids[i]
    end
  end
  if #gone > 0 then
    for _, key in ipairs({'f', 'j', 'p', 'x', 'g'}) do
      if call('EXISTS', base .. key) == 1 then in_chunks('HDEL', base .. key, gone) end
    end
    for _, key in ipairs({'i', 'i:' .. code}) do
      if call('EXISTS', base .. key) == 1 then in_chunks('ZREM', base .. key, gone) end
    end
    call('HINCRBY', base .. 'n', code, -#gone)
  end
  removed, total = removed + #gone, total - #gone
end

-- Takes at most *number* ids from the first batch of a list.
local function take_first(code, number)
  local list = base .. 'o:' .. code
  local batch = call('LINDEX', list, 0)
  local ids, last = {}, math.min(#batch, 8 + 16 * number)
  for at = 9, last, 16 do ids[#ids + 1] = sub(batch, at, at + 15) end
  if last == #batch then
    call('LPOP', list)
  else
    call('LSET', list, 0, sub(batch, 1, 8) .. sub(batch, last + 1))
  end
  looked = looked + #ids
  remove(ids, code, (unpack_bytes('>I8', batch)))
end

local function first_end(code)
  local batch = call('LINDEX', base .. 'o:' .. code, 0)
  return batch and unpack_bytes('>I8', batch)
end

for code = COMPLETED, EXPIRED do
  local before = now - (code == FAILED and failed or short)
  while looked < limit do
    local ended = first_end(code)
    if not ended or ended > before then break end
    take_first(code, limit - looked)
  end
end
while looked < limit and total > most do
  local oldest, chosen
  for code = COMPLETED, EXPIRED do
    local ended = first_end(code)
    if ended and (not oldest or ended < oldest) then oldest, chosen = ended, code end
  end
  if not oldest or oldest > now - KEPT_MS then break end
  take_first(chosen, math.min(limit - looked, total - most))
end
return {removed, looked >= limit and 1 or 0}
