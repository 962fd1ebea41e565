"""Draws the parts of the live pages, once a sample for however many viewers."""

from __future__ import annotations

from typing import Final

from bringup.actions.live_view import LiveView
from bringup.faces.web.html import Html, tag
from bringup.faces.web.pages.live import live_parts
from bringup.faces.web.pages.memory import memory_parts
from bringup.faces.web.pages.stack import stack_parts

LIVE_PAGES: Final = (("/", "stack", "Stack"), ("/memory", "memory", "Memory"), ("/live", "live", "Live"))
"""Address, name in the stream, title."""


class Drawer:
    """Keeps the newest drawing of each page; for one thread, that of the server."""

    def __init__(self, view: LiveView) -> None:
        """Nothing is drawn yet."""
        self._view = view
        self._kept: dict[str, tuple[int, dict[str, Html]]] = {}

    def version(self, name: str) -> int:
        """Grows when the page has something new."""
        if name == "stack":
            return self._view.faults.number
        sample = self._view.sampler.latest()
        return sample.number if sample is not None else 0

    def draw(self, name: str) -> dict[str, Html]:
        """The page's parts now."""
        version = self.version(name)
        kept = self._kept.get(name)
        if kept is None or kept[0] != version:
            kept = self._kept[name] = version, self._anew(name)
        return kept[1]

    def _anew(self, name: str) -> dict[str, Html]:
        if name == "stack":
            return stack_parts(self._view.faults.examination)
        if self._view.sampler.problem is not None:
            return {"now": tag("p", f"The sampler failed: {self._view.sampler.problem}")}
        sample = self._view.sampler.latest()
        if sample is None:
            return {"now": tag("p", "The first look is under way.")}
        return memory_parts(sample) if name == "memory" else live_parts(sample, self._view.sampler.history)
