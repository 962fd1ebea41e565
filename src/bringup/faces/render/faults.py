"""The list of faults, and one fault's page, for the terminal and as JSON."""

from __future__ import annotations

from typing import Final

from bringup.faces.render.console import READING_COLUMNS, Style, Styled
from bringup.faces.render.diagnosis import heading, labelled, render_step, wrapped
from bringup.faces.render.diagnosis_json import step_json
from bringup.faces.render.format import pad, truncate
from bringup.faults._fault import Fault, Layer

Line = tuple[str | Styled, ...]
SCHEMA: Final = 1
_LEAST_TITLE_COLUMNS: Final = 24


def render_list(faults: tuple[Fault, ...], *, width_columns: int | None) -> list[Line]:
    """One line a fault, under its layer; narrow terminals have its title below it, pipes (`None`) whole."""
    lines: list[Line] = []
    width = max((len(fault.id) for fault in faults), default=0)
    for layer in Layer:
        inside = [fault for fault in faults if fault.layer is layer]
        if not inside:
            continue
        lines += [("",)] if lines else []
        lines.append((Styled(layer.name.lower(), Style.BOLD),))
        for fault in inside:
            if width_columns is not None and width_columns - width - 4 < _LEAST_TITLE_COLUMNS:
                lines += [(f"  {fault.id}",), *_below(fault.title, width_columns)]
                continue
            title = fault.title if width_columns is None else truncate(fault.title, width_columns - width - 4)
            lines.append(("  ", pad(fault.id, width), "  ", Styled(title, Style.DIM)))
    return lines


def _below(title: str, width_columns: int) -> list[Line]:
    return [("    ", Styled(line, Style.DIM)) for line in wrapped(title, width_columns - 4)]


def render_fault(fault: Fault, width_columns: int = READING_COLUMNS) -> list[Line]:
    """All that a fault says of itself."""
    lines: list[Line] = [
        *heading(fault.title, fault.id, width_columns),
        *labelled("layer", fault.layer.name.lower(), width_columns),
        *labelled("symptom", fault.symptom, width_columns),
        *labelled("reason", fault.reason, width_columns),
    ]
    lines += labelled("limits", fault.limits, width_columns) if fault.limits else []
    lines += labelled("explains", ", ".join(fault.explains), width_columns) if fault.explains else []
    lines.append(("",))
    for number, step in enumerate(fault.steps, start=1):
        lines += render_step(number, step, {}, width_columns)
    lines.append(("",))
    lines += [("  ", Styled(link, Style.DIM)) for link in fault.sources]
    return lines


def list_json(faults: tuple[Fault, ...]) -> dict[str, object]:
    """The list as JSON."""
    return {
        "schema": SCHEMA,
        "faults": [{"id": f.id, "layer": f.layer.name.lower(), "title": f.title} for f in faults],
    }


def fault_json(fault: Fault) -> dict[str, object]:
    """One fault as JSON; a slot that facts would fill stands as `<NAME>`."""
    return {
        "schema": SCHEMA,
        "id": fault.id,
        "layer": fault.layer.name.lower(),
        "title": fault.title,
        "symptom": fault.symptom,
        "reason": fault.reason,
        "limits": fault.limits,
        "sources": list(fault.sources),
        "explains": list(fault.explains),
        "signs": [sign.example for sign in fault.signs],
        "steps": [step_json(step, {}) for step in fault.steps],
    }
