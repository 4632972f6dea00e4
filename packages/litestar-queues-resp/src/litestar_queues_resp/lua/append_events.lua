-- Keeps events, each once.

local refusal = refused()
if refusal then return refusal end
take_events(true)
return 0
