"""The one warning where something could not be written to the journal."""

from __future__ import annotations

from bringup.faces.render.console import Console, Style


def say_journal_trouble(console: Console, trouble: str) -> None:
    """Say it, if there is any; nothing else of the command changes."""
    if trouble:
        console.note(trouble, Style.YELLOW, lead="warning: ")
