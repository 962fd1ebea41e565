"""The two moments at which the chat cannot go on by itself: the window is full, or the engine is gone."""

from __future__ import annotations

from enum import Enum
from textwrap import fill

from bringup.faces.cli.chat_input import ChatInput
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.format import format_count


class Choice(Enum):
    """What the user wants now, by the letter that is typed."""

    DROP = "d"
    NEW = "n"
    LARGER = "l"
    RESTART = "r"
    KEEP = "k"


def ask_about_window(
    console: Console,
    source: ChatInput,
    *,
    why: str,
    can_drop: bool,
    larger_n_ctx: int | None,
    is_too_long_alone: bool = False,
) -> Choice:
    """Ask what to do with a full window. Nothing is dropped unless it is chosen here.

    A question that is too long by itself would not fit after dropping either: that is not offered then.
    """
    width = max(console.note_terminal.width_columns - 1, 20)
    console.line(Styled(fill(why, width), Style.YELLOW))
    if is_too_long_alone and not larger_n_ctx:
        words = "Even alone it is too long, and no larger window is to be had: the question is taken back."
        console.line(Styled(fill(words, width), Style.YELLOW))
        return Choice.KEEP
    offers = [
        ("d", "drop the oldest turns and answer again") if can_drop and not is_too_long_alone else None,
        None if is_too_long_alone else ("n", "start anew with the last question"),
        ("l", f"restart with a window of {format_count(larger_n_ctx)} tokens") if larger_n_ctx else None,
        ("k", "leave it so; a question without an answer is taken back"),
    ]
    return _ask(console, source, [offer for offer in offers if offer is not None])


def ask_about_death(console: Console, source: ChatInput) -> Choice:
    """Ask whether the engine shall be started again; the conversation is kept either way."""
    console.line("The conversation is kept.")
    offers = [("r", "start the engine again and ask once more"), ("k", "leave it stopped")]
    return _ask(console, source, offers)


def _ask(console: Console, source: ChatInput, offers: list[tuple[str, str]]) -> Choice:
    for key, meaning in offers:
        console.line("  ", Styled(key, Style.BOLD), f"  {meaning}")
    keys = "".join(key for key, _ in offers)
    console.forget_typed()
    return Choice(source.choose(f"{'/'.join(keys)}? ", keys))
