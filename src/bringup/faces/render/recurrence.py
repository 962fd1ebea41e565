"""A fault that came back: how often, since when, what was tried, and where to go on."""

from __future__ import annotations

from bringup.actions.diagnosis.recurrence import Recurrence
from bringup.faces.render.clean import clean
from bringup.machine.clock import local_time_text

_ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def history_words(past: Recurrence) -> str:
    """One text; empty for a fault that is here for the first time and for which nothing was done."""
    parts = []
    n_times = len(past.times)
    if n_times > 1:
        ordinal = _ORDINALS.get(n_times, f"{n_times}th")
        parts.append(f"the {ordinal} time since {_day(past.times[0].opened_s)}")
        parts += [
            f"on {_day(time.opened_s)} it came with: {clean(time.changed, keep_newlines=False)}"
            for time in past.times[-3:]
            if time.changed
        ]
    for step in past.tried[-3:]:
        how = "and it did not hold" if step.did_not_hold else "and it held"
        parts.append(f"step {step.number} ({step.command}) was taken on {_day(step.at_s)} {how}")
    return "; ".join(parts)


def next_words(past: Recurrence, n_steps: int) -> str:
    """Where to go on where a step did not hold; empty otherwise."""
    if past.next_step is None:
        return ""
    if past.next_step > n_steps:
        return "every step was tried and none held: a report with bringup snapshot would help"
    return f"go on with step {past.next_step}: those before it were tried and did not hold"


def history_json(past: Recurrence) -> dict[str, object]:
    """The same for programs."""
    return {
        "times": [
            {"opened_s": time.opened_s, "closed_s": time.closed_s, "changed": time.changed}
            for time in past.times
        ],
        "tried": [
            {
                "step": step.number,
                "command": step.command,
                "at_s": step.at_s,
                "did_not_hold": step.did_not_hold,
            }
            for step in past.tried
        ],
        "next_step": past.next_step,
    }


def _day(at_s: float) -> str:
    return local_time_text(at_s)[:10]
