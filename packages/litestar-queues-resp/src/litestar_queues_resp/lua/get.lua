-- Tells what is known of jobs: of the first ones, if all is too much for one answer.

local ids = fitting(take_ids(), 0)
return look(ids, fields(base .. 'j', ids), true)
