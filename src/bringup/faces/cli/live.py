"""What `bringup top` does with its options."""

from __future__ import annotations

from bringup.errors import Failure
from bringup.faces.render.console import Console


def show_once(console: Console, recording: str | None, *, interval_s: float, as_json: bool) -> int:
    """Print one look; rates are measured over at most a second."""
    from bringup.actions.live.view import look_once
    from bringup.faces.render.bars import BAR_CHARACTERS, without_blocks
    from bringup.faces.render.live import render_sample
    from bringup.faces.render.live_json import sample_json

    console.status("looking")
    sample, health = look_once(recording, apart_s=min(1.0, interval_s))
    if as_json:
        console.answer_json(sample_json(sample, health))
        return 0
    has_blocks = console.can_show(BAR_CHARACTERS)
    for line in render_sample(sample, health, width_columns=console.answer_terminal.width_columns):
        console.answer(*(line if has_blocks else without_blocks(line)))
    return 0


def show_live(console: Console, recording: str | None, *, interval_s: float) -> int:
    """Run the screen until a person leaves it.

    Raises:
        Failure: what draws the screen is not installed.
    """
    try:
        from bringup.faces.tui.top import run_top
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != "textual":
            raise
        raise Failure(
            "the screen of top needs a package that is not installed",
            context=(str(problem),),
            hint="Install bringup[top], or take one look: bringup top --once",
            reference="extra-missing",
        ) from problem
    from bringup.actions.live.view import watching

    console.end_status()
    with watching(recording, interval_s=interval_s) as view:
        run_top(view)
    return 0
