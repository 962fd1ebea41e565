"""What `bringup top` does with its options."""

from __future__ import annotations

from bringup.faces.render.console import Console


def show_once(console: Console, recording: str | None, *, interval_s: float, as_json: bool) -> int:
    """Print one look; rates are measured over at most a second."""
    from bringup.actions.live_view import look_once
    from bringup.faces.render.live import render_sample
    from bringup.faces.render.live_json import sample_json

    console.status("looking")
    sample, health = look_once(recording, apart_s=min(1.0, interval_s))
    if as_json:
        console.answer_json(sample_json(sample, health))
        return 0
    for line in render_sample(sample, health, width_columns=console.answer_terminal.width_columns):
        console.answer(*line)
    return 0


def show_live(console: Console, recording: str | None, *, interval_s: float) -> int:
    """Run the screen until a person leaves it."""
    return show_once(console, recording, interval_s=interval_s, as_json=False)
