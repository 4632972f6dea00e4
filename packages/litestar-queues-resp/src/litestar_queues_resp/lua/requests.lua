-- Tells what is kept of jobs that are held: requests, pasts, attempt records; of the first ones, if
-- all is too much for one answer.

local ids = fitting(take_ids(), 0)
return {fields(base .. 'j', ids), fields(base .. 'p', ids), fields(base .. 'x', ids)}
