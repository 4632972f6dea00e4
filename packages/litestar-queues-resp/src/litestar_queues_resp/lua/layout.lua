-- The version of the layout of these keys: writes ours if there is none, and answers with it.

call('SET', base .. 'v', take(), 'NX')
return call('GET', base .. 'v')
