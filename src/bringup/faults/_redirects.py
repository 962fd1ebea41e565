"""Ids that were renamed: old id to new id. Ids are never reused."""

from __future__ import annotations

from typing import Final

REDIRECTS: Final[dict[str, str]] = {}
