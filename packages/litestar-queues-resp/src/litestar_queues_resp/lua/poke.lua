-- Ends the wait of an inbox's owner, so that it may wait for something else.

local inbox = base .. 'b:' .. take()
call('ZADD', inbox, 0, '')
call('PEXPIRE', inbox, MARKER_MS)
return 1
