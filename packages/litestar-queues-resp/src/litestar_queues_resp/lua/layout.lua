-- Looks whether these keys are laid out as these scripts expect, or not yet.

return refused() or 1
