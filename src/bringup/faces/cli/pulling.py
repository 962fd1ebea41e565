"""Showing a pull while it runs: a live line on a terminal, whole lines for what matters, silence otherwise.

Used by `pull`, and by `run` and `serve` when their model has to be fetched first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.errors import BringupError
from bringup.faces.render.clean import clean
from bringup.faces.render.console import Console, Style

if TYPE_CHECKING:
    from bringup.store.prepare import PullPlan
    from bringup.store.progress import TransferProgress


class PullWatcher:
    """Hears a pull and shows it on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""
        self._is_resumable = True
        self._last: TransferProgress | None = None

    def plan(self, plan: PullPlan) -> None:
        """What will be fetched."""
        from bringup.faces.render.pull import plan_lines

        self._said = plan.note
        self._is_resumable = not plan.is_by_pip
        for line in plan_lines(plan):
            self._console.note(line)

    def progress(self, progress: TransferProgress) -> None:
        """A moment of a transfer."""
        from bringup.faces.render.pull import progress_line

        self._last = progress
        if progress.message and progress.message != self._said:
            self._said = progress.message
            self._console.note(clean(progress.message, keep_newlines=False))
        self._console.status(progress_line(progress, self._console.note_terminal.width_columns))

    def warning(self, why: str) -> None:
        """Something beside the transfer went wrong: the journal could not be written."""
        self._console.note(why, Style.YELLOW, lead="warning: ")

    def interrupted(self, typed: str) -> None:
        """Ctrl-C: what is kept of it, and how to go on."""
        from bringup.faces.render.pull import interrupted_lines

        last = self._last if self._is_resumable else None
        for line in interrupted_lines(last, typed):
            self._console.line(line)


def token_question(refused: BringupError) -> str:
    """What is asked before a token leaves this machine."""
    return f"{refused.message}. Send your hub token to it?"
