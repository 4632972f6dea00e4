"""Steps by which the tables came to be, as SQLSpec runs and records them."""

from __future__ import annotations
