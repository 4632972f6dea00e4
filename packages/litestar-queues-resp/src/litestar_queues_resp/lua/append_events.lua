-- Keeps events, each once.

take_events(true)
return 0
