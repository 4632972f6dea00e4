-- Writes something, so that what this connection then waits for includes all writes before.

call('SET', base .. 'u', whole(now))
return 1
