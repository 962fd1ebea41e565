"""Draws the parts of the live pages, once a sample for however many viewers."""

from __future__ import annotations

from typing import Final

from bringup.actions.diagnosis.overview import embedded_engine
from bringup.actions.live.sample import Sample
from bringup.actions.live.view import LiveView
from bringup.faces.web.html import Html, tag
from bringup.faces.web.layout import banner
from bringup.faces.web.pages.live import live_parts
from bringup.faces.web.pages.memory import Maps, memory_parts
from bringup.faces.web.pages.now import term_now
from bringup.faces.web.pages.stack import stack_parts

LIVE_PAGES: Final = (("/", "stack", "Stack"), ("/memory", "memory", "Memory"), ("/live", "live", "Live"))
"""Address, name in the stream, title."""

TERM: Final = "term-"
"""Before a term's name: the stream of its page."""


_PARTS: Final = {
    "memory": ("cards", "ram", "windows"),
    "live": ("now", "cards", "engines", "charts", "processes"),
}


def _without_sample(name: str, told: Html) -> dict[str, Html]:
    """All parts of a page, so that the stream finds them later; the first one says why they are empty."""
    first, *others = _PARTS.get(name, ("now",))
    return {first: told, **dict.fromkeys(others, Html(""))}


class Drawer:
    """Keeps the newest drawing of each page; for one thread, that of the server."""

    def __init__(self, view: LiveView, maps: Maps) -> None:
        """Nothing is drawn yet; `maps` gives each engine's memory layer by layer."""
        self._view = view
        self._maps = maps
        self._kept: dict[str, tuple[tuple[int, int], dict[str, Html]]] = {}

    def is_stream(self, name: str) -> bool:
        """Whether there is a page of that name that follows along."""
        return name in {one[1] for one in LIVE_PAGES} or bool(
            name.startswith(TERM) and term_now(name[len(TERM) :], None)
        )

    def version(self, name: str) -> tuple[int, int]:
        """Changes when the page has something new."""
        if name == "stack":
            return self._view.faults.number, 0
        if self._view.sampler.problem is not None:
            return self._view.faults.number, -1
        sample = self._view.sampler.latest()
        return self._view.faults.number, sample.number if sample is not None else 0

    def draw(self, name: str) -> dict[str, Html]:
        """The page's parts now."""
        version = self.version(name)
        kept = self._kept.get(name)
        if kept is None or kept[0] != version:
            kept = self._kept[name] = version, self._anew(name)
        return kept[1]

    def _anew(self, name: str) -> dict[str, Html]:
        if name == "stack":
            embedded = embedded_engine() if self._view.is_live else None
            return stack_parts(self._view.faults.examination, embedded=embedded)
        if self._view.sampler.problem is not None:
            words = f"The sampler failed: {self._view.sampler.problem}"
            return _without_sample(name, tag("p", words, class_="note fault"))
        sample = self._view.sampler.latest()
        if sample is None:
            return _without_sample(name, tag("p", "The first look is under way."))
        return {"banner": banner(self._view.faults.health), **self._of_sample(name, sample)}

    def _of_sample(self, name: str, sample: Sample) -> dict[str, Html]:
        if name == "memory":
            return memory_parts(sample, self._maps)
        if name == "live":
            return live_parts(sample, self._view.sampler.history)
        return {"now": term_now(name[len(TERM) :], sample)}
