"""Stores that need nothing but the standard library."""

from __future__ import annotations
