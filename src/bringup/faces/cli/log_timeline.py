"""`bringup log` without a further word."""

from __future__ import annotations

from bringup.actions.log.entries import bring_up_to_date
from bringup.actions.log.timeline import LAYERS, parse_since, read_timeline, this_machine
from bringup.errors import WrongUse
from bringup.faces.cli.journal_warning import say_journal_trouble
from bringup.faces.render.console import Console
from bringup.machine import clock
from bringup.machine.folders import our_folders


def show_timeline(
    console: Console, *, since: str | None, layer: str | None, last: int, as_json: bool
) -> None:
    """Print the timeline."""
    from bringup.faces.render.log import render_timeline
    from bringup.faces.render.log_json import timeline_json

    if layer is not None and layer not in LAYERS:
        raise WrongUse(f"no such layer: {layer}", hint=f"Layers are {', '.join(LAYERS)}.")
    since_s = None if since is None else parse_since(since, now_s=clock.wall_s())
    place = our_folders()
    warning = bring_up_to_date(place)
    timeline = read_timeline(place, this_machine(), since_s=since_s, layer=layer, last=last)
    if as_json:
        console.answer_json(timeline_json(timeline))
    else:
        shown = console.answer_terminal
        width = shown.width_columns if shown.is_terminal else 200
        console.answer_lines(render_timeline(timeline, width_columns=width))
    say_journal_trouble(console, warning or timeline.warning)
