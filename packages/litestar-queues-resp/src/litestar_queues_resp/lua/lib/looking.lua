-- What there is to tell of jobs: false for one that is not known, or
-- {status, request or record, past, attempt records, progress, held, worker, cancel requested}.

local function look(ids, blobs, whole_jobs)
  local pasts, errors = fields(base .. 'p', ids), fields(base .. 'x', ids)
  local progress = whole_jobs and fields(base .. 'g', ids) or {}
  local running, views = {}, {}
  for i, id in ipairs(ids) do
    local blob, status = blobs[i], nil
    if not blob then
      views[i] = false
    else
      if is_finished(blob) then
        status = byte(blob) - ENDED
      else
        local lane = lane_now(blob, past_of(id, blob))
        status = (call('ZSCORE', base .. 'r:' .. lane, id) and 0)
          or (call('ZSCORE', base .. 's:' .. lane, id) and 1) or 2
        if status == 2 then running[#running + 1] = id end
      end
      views[i] = {
        status, blob, pasts[i], errors[i], progress[i] or false, false, false, 0,
      }
    end
  end
  local held = owners(running)
  for i, id in ipairs(ids) do
    local view, owner = views[i], held[id]
    if owner then
      view[6] = owner[2]
      view[7] = call('HGET', base .. 'm:' .. owner[1], 'worker')
      view[8] = call('SISMEMBER', base .. 'c:' .. owner[1], id)
    elseif view and view[1] == 2 then
      view[1] = 0  -- it has expired as it was about to be handed out
    end
  end
  return views
end
