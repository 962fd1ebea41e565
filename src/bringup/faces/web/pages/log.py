"""The timeline of this machine, as `bringup log` tells it."""

from __future__ import annotations

from bringup.actions.doctor import choose_machine
from bringup.actions.log import bring_up_to_date
from bringup.actions.timeline import LAYERS, parse_since, read_timeline
from bringup.errors import BringupError, WrongUse
from bringup.faces.render.log import render_timeline
from bringup.faces.web.html import Html, join, tag
from bringup.faces.web.pages.terminal import preformatted
from bringup.machine import clock
from bringup.machine.folders import our_folders

_LAST = 200
_COLUMNS = 140


def log_page(since: str, layer: str) -> Html:
    """The form, and below it the timeline."""
    options = [tag("option", "every layer", value="")]
    options += [tag("option", name, value=name, selected=name == layer) for name in LAYERS]
    fields = [
        tag(
            "label", "Since", tag("input", name="since", value=since, placeholder="7d, yesterday, 2026-11-01")
        ),
        tag("label", "Layer", tag("select", options, name="layer")),
        tag("button", "Show", type="submit"),
    ]
    head = tag("form", fields, method="get", action="/log")
    try:
        return join([head, _timeline(since, layer)])
    except BringupError as problem:
        words = [problem.message, *problem.context, problem.hint]
        return join(
            [head, tag("div", [tag("p", word) for word in words if word], role="alert", class_="fault box")]
        )


def _timeline(since: str, layer: str) -> Html:
    if layer and layer not in LAYERS:
        raise WrongUse("no such layer", hint=f"Layers are {', '.join(LAYERS)}.")
    since_s = parse_since(since, now_s=clock.wall_s()) if since else None
    place = our_folders()
    warning = bring_up_to_date(place)
    machine, _ = choose_machine(root=None, recording=None)
    found = read_timeline(place, machine, since_s=since_s, layer=layer or None, last=_LAST)
    told = warning or found.warning
    lines = render_timeline(found, width_columns=_COLUMNS)
    return join(
        [tag("p", told) if told else Html(""), preformatted(lines, label="what happened, newest last")]
    )
