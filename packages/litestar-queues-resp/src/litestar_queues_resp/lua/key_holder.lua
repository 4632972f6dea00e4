-- The job that holds a key.

return holder_of(take()) or false
