-- The version of the layout of these keys: writes ours if there is none, and answers with it.

local ours, known = take(), call('GET', base .. 'v')
if not known then call('SET', base .. 'v', ours) end
return known or ours
