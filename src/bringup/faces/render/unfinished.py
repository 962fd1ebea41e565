"""A fix that was cut short: what is unknown, and how to look."""

from __future__ import annotations

from bringup.actions.fixing.unfinished import Unfinished, UnfinishedFixes
from bringup.faces.render.console import READING_COLUMNS, Style, Styled
from bringup.faces.render.diagnosis import labelled

Line = tuple[str | Styled, ...]


def render_unfinished(unfinished: UnfinishedFixes, width_columns: int = READING_COLUMNS) -> list[Line]:
    """A block for each; nothing where there is none."""
    lines: list[Line] = []
    for fix in unfinished.fixes:
        lines += [*_block(fix, width_columns), ("",)]
    if unfinished.problem:
        lines += labelled("unknown", f"whether a fix was cut short: {unfinished.problem}", width_columns)
        lines.append(("",))
    return lines


def _block(fix: Unfinished, width_columns: int) -> list[Line]:
    if fix.running_as:
        title, known = "A fix is still running", f"process {fix.running_as} has not ended"
    else:
        title, known = "A fix was cut short", "how it ended: it may have done all, a part, or nothing"
    lines: list[Line] = [(Styled(title, Style.YELLOW), f"  [{fix.fault_id}]")]
    lines += labelled("began", fix.began, width_columns)
    lines.append(("  ", Styled(f"{'command':9}", Style.DIM), " ", Styled(f"$ {fix.command}", Style.CYAN)))
    lines += labelled("known" if fix.running_as else "unknown", known, width_columns)
    for number, look in enumerate(fix.looks):
        label = "to look" if number == 0 else ""
        lines.append(("  ", Styled(f"{label:9}", Style.DIM), " ", Styled(f"$ {look}", Style.CYAN)))
    lines += labelled(
        "then", f"bringup fix {fix.fault_id} goes on, and asks whether this is settled", width_columns
    )
    return lines


def unfinished_json(unfinished: UnfinishedFixes) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "fault": fix.fault_id,
            "began": fix.began,
            "command": fix.command,
            "running_as": fix.running_as or None,
            "looks": list(fix.looks),
        }
        for fix in unfinished.fixes
    ]
