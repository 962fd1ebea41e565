"""What the journal keeps of a plan for this machine: what it would take, and whether it fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bringup.actions.planning.report import PlanReport


def record_plan(name: str, report: PlanReport) -> str:
    """Write a plan down; a warning where that could not be done."""
    from bringup.actions.journal.writing import Note, record
    from bringup.journal.entry import Kind
    from bringup.machine import paths

    shown = paths.basename(name) or name
    data = {
        "model": shown,
        "n_ctx": report.n_ctx,
        "n_slots": report.n_parallel,
        "fits": report.fits,
        "is_whole": report.is_whole,
        "verdict": report.verdict,
        "missing": list(report.missing),
        "devices": [
            {"name": use.device.name, "planned_bytes": use.planned_bytes, "free_bytes": use.device.free_bytes}
            for use in report.uses
        ],
        "command": list(report.command),
    }
    fits = "fits" if report.fits else "does not fit"
    text = f"{shown} with a window of {report.n_ctx:,} tokens {fits}: {report.verdict}"
    text = text if report.is_whole else f"{shown}: {report.verdict}"
    return record(Note(Kind.PLAN, shown, text, data))
