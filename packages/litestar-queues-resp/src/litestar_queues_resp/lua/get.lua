-- Tells what is known of jobs.

local ids = take_ids()
return look(ids, fields(base .. 'j', ids), true)
