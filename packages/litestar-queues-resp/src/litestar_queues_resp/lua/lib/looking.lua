-- What there is to tell of jobs: false for one that is not known, or
-- {status, request, record, past, attempt records, progress, held, worker, cancel requested}.

-- *known*, if given, tells who holds them: id -> {lease, fence, start, lane}.
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
