"""The embedded engine's process, started before it is known what it shall run.

A Python and llama.cpp's library take as long to load as a plan takes to be made; with two processors both
are done at once. The process waits behind a keeper as any engine runs behind one, so every promise on orphans
holds from its first moment. It is ended where it turns out not to be wanted.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from bringup.engine.build import embedded_argv
from bringup.engine.job import EarlyJob
from bringup.engine.keeping import KeeperLink
from bringup.machine.process import own_pid


class WaitingEngine:
    """One process that waits. Use it as a context manager: leaving the block ends it, unless it was taken."""

    def __init__(self, environment: dict[str, str]) -> None:
        """Start it with the whole environment of the engine to come."""
        self._link: KeeperLink | None = KeeperLink(environment)
        self._link.give(EarlyJob(embedded_argv(), environment, own_pid()))

    def take(self) -> KeeperLink | None:
        """Its keeper, which wants the job now; `None` when it was taken or is gone."""
        link, self._link = self._link, None
        if link is not None and not link.is_keeping:
            link.close()
            return None
        return link

    def close(self) -> None:
        """End it; what was taken goes on."""
        link, self._link = self._link, None
        if link is not None:
            link.dismiss()

    def __enter__(self) -> Self:
        """The process itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()
