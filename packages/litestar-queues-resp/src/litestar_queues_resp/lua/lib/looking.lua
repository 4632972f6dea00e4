-- How many bytes are kept of a job.
local function size_of(id)
  local size = 0
  for _, key in ipairs({'j', 'f', 'x', 'g'}) do size = size + call('HSTRLEN', base .. key, id) end
  return size
end

-- The first ones of *ids*, as many as fit into an answer that has *size* bytes already, or one if
-- it has none; and how many bytes it has with them.
local function fitting(ids, size)
  local chosen = {}
  for i, id in ipairs(ids) do
    local more = size_of(id)
    if size > 0 and size + more > BYTES then break end
    chosen[i], size = id, size + more
  end
  return chosen, size
end

-- What there is to tell of jobs: false for one that is not known, or
-- {status, request, record, past, attempt records, progress, held, worker, cancel requested}.

-- *known*, if given, tells who holds them: id -> {lease, fence, start, lane}.  Unless *whole_jobs*,
-- progress and results are left out.
local function look(ids, blobs, whole_jobs, known)
  local records = fields(base .. 'f', ids)
  local pasts, errors = fields(base .. 'p', ids), fields(base .. 'x', ids)
  local progress = whole_jobs and fields(base .. 'g', ids) or {}
  local running, views = {}, {}
  for i, id in ipairs(ids) do
    local blob, status = blobs[i], nil
    if not blob then
      views[i] = false
    else
      if records[i] then
        status = byte(records[i])
        if not whole_jobs then records[i] = without_result(records[i]) end
      else
        status = known and 2 or waiting_status(id, blob, past_of(id, blob))
        if not status then
          status = 0  -- unless somebody holds it, it has expired as it was to be handed out
          running[#running + 1] = id
        end
      end
      views[i] = {
        status, blob, records[i], pasts[i], errors[i], progress[i] or false, false, false, 0,
      }
    end
  end
  local held = known or owners(running)
  for i, id in ipairs(ids) do
    local view, owner = views[i], held[id]
    if owner then
      view[1] = 2
      view[7] = {delivery_of(owner[2]), owner[3], owner[4]}
      view[8] = call('HGET', base .. 'm:' .. owner[1], 'worker')
      view[9] = call('SISMEMBER', base .. 'c:' .. owner[1], id)
    end
  end
  return views
end
