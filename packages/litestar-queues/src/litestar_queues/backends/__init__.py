"""Where jobs are kept; importing one of these modules imports its driver and no other's."""

from __future__ import annotations
