-- Ends the wait of an inbox's owner, so that it may wait for something else.

may_write()
local inbox = base .. 'b:' .. take()
call('ZADD', inbox, 0, '')
call('PEXPIRE', inbox, MARKER_MS)
return 1
