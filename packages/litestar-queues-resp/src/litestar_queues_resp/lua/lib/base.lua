-- What every script begins with: its key space, its clock, its arguments, writes in bulk.
-- scripts.py puts the constants before it.

local call, byte, char, sub, match = redis.call, string.byte, string.char, string.sub, string.match
local concat, pack, unpack_bytes = table.concat, struct.pack, struct.unpack
local base = KEYS[1] .. ':'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]

local taken = 1  -- how many of ARGV have been taken; the first is the offset of the clock
local function take()
  taken = taken + 1
  return ARGV[taken]
end

-- A server that is out of memory refuses the first write of a script if that may need some, and
-- no later one.  What makes room, or ends what was begun, begins with a write that needs none.
local function may_write() call('PERSIST', base .. 'v') end

local LASTING = 'j f p x g e k kt n l rn d a z zh i ib ic io ev ei ej t'

-- What may put something where nothing is looks first: a server may have lost all since this store
-- was opened, and a later version may have been the first to come back.  Writes the version of the
-- layout if there is nothing; returns an error if there is something else than ours.
local function refused()
  local known, problem = call('GET', base .. 'v'), nil
  if not known then
    local keys = {}
    for name in string.gmatch(LASTING, '%S+') do keys[#keys + 1] = base .. name end
    if call('EXISTS', unpack(keys)) > 0 then
      problem = 'have no layout, so they are somebody else\'s'
    else
      call('SET', base .. 'v', LAYOUT)
    end
  elseif known ~= tostring(LAYOUT) then
    problem = 'have layout ' .. known
  end
  return problem and redis.error_reply('LAYOUT the keys under ' .. KEYS[1] .. ' ' .. problem)
end

-- Ids are 16 bytes each; many come in one text.
local function split(text)
  local ids = {}
  for at = 1, #text, 16 do ids[#ids + 1] = sub(text, at, at + 15) end
  return ids
end

local function take_ids() return split(take()) end

local function whole(number) return string.format('%.0f', number) end

-- A C function takes a limited number of arguments; CHUNK is even, so that pairs stay together.
local function in_chunks(command, key, arguments)
  for first = 1, #arguments, CHUNK do
    call(command, key, unpack(arguments, first, math.min(first + CHUNK - 1, #arguments)))
  end
end

-- HMGET for any number of fields.
local function fields(key, names)
  if #names <= CHUNK then return #names > 0 and call('HMGET', key, unpack(names)) or {} end
  local values = {}
  for first = 1, #names, CHUNK do
    local last = math.min(first + CHUNK - 1, #names)
    for i, value in ipairs(call('HMGET', key, unpack(names, first, last))) do
      values[first + i - 1] = value
    end
  end
  return values
end

-- Finds a text where it begins at a multiple of *width*.
local function find_aligned(text, part, width)
  local at = string.find(text, part, 1, true)
  while at and at % width ~= 1 do at = string.find(text, part, at + 1, true) end
  return at
end

-- Compares ids by their bytes.
local function is_below(one, other)
  for at = 1, 16 do
    local a, b = byte(one, at), byte(other, at)
    if a ~= b then return a < b end
  end
  return false
end

-- Sorts ids by their bytes, whatever the locale of the server thinks of them.
local function in_order(text)
  local key, members = base .. '~', {}
  for _, id in ipairs(split(text)) do
    members[#members + 1] = '0'
    members[#members + 1] = id
  end
  in_chunks('ZADD', key, members)
  local ids = call('ZRANGE', key, 0, -1)
  call('DEL', key)
  return concat(ids)
end

-- Writes that are collected, by command and key, and done together by flush().
local collected, order = {}, {}
local function bulk(command, key)
  local name = command .. ' ' .. key
  local arguments = collected[name]
  if not arguments then
    arguments = {}
    collected[name] = arguments
    order[#order + 1] = {command, key, arguments}
  end
  return arguments
end

local function add(command, key, argument)
  local arguments = bulk(command, key)
  arguments[#arguments + 1] = argument
end

local function add_pair(command, key, first, second)
  local arguments = bulk(command, key)
  arguments[#arguments + 1] = first
  arguments[#arguments + 1] = second
end

local function flush()
  for _, one in ipairs(order) do in_chunks(one[1], one[2], one[3]) end
  collected, order = {}, {}
end

-- Topics: a marker that exists once, however often it is set, and that one waiting process takes.
local function raise(topic)
  call('ZADD', base .. 'w:' .. topic, 0, topic)
  call('PEXPIRE', base .. 'w:' .. topic, MARKER_MS)
end

local awake = {}
local function wake(lane)
  if not awake[lane] then
    awake[lane] = true
    raise('lane:' .. lane)
    if not awake['*'] then
      awake['*'] = true
      raise('lane:*')
    end
  end
end
