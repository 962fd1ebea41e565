"""How a transfer looks: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

from bringup.faces.render.clean import clean
from bringup.faces.render.format import (
    display_width,
    format_bytes,
    format_duration,
    format_percent,
    format_rate,
    truncate,
)
from bringup.store.local import LocalModel
from bringup.store.prepare import PullPlan
from bringup.store.progress import TransferProgress, TransferState

JSON_SCHEMA = 1
_GAP = "  "
_LONGEST_BAR_COLUMNS = 24
_SHORTEST_BAR_COLUMNS = 8
_NAME_COLUMNS = 30
_WORDS = {
    TransferState.WAITING: "waiting",
    TransferState.CONNECTING: "connecting",
    TransferState.STALLED: "stalled",
    TransferState.RETRYING: "trying again",
    TransferState.VERIFYING: "verifying",
    TransferState.FINISHED: "done",
}


def plan_lines(plan: PullPlan) -> tuple[str, ...]:
    """What will be fetched, from where and where to; said before the first byte."""
    count = f" in {len(plan.files)} files" if len(plan.files) > 1 else ""
    source = "through pip" if plan.is_by_pip else f"from {plan.host}"
    line = f"Fetching {plan.name}: {format_bytes(plan.total_bytes)}{count} {source}"
    lines = (plan.note, line) if plan.is_by_pip else (line, plan.note)
    return tuple(clean(text, keep_newlines=False) for text in lines if text)


def progress_line(progress: TransferProgress, width_columns: int) -> str:
    """`model.gguf  ━━━━━━╌╌╌╌  43 %  1.2/2.8 GiB  45.3 MiB/s  36 s left`, or fewer parts."""
    name = truncate(clean(progress.file, keep_newlines=False), _NAME_COLUMNS)
    figures = _figures(progress)
    room = width_columns - 1
    spare = room - display_width(_GAP.join([name, *figures])) - len(_GAP)
    if spare >= _SHORTEST_BAR_COLUMNS and progress.total_bytes:
        return _GAP.join([name, _bar(progress, min(spare, _LONGEST_BAR_COLUMNS)), *figures])
    while len(figures) > 2 and display_width(_GAP.join([name, *figures])) > room:
        figures.pop()
    line = _GAP.join([name, *figures])
    return line if display_width(line) <= room else truncate(_GAP.join(figures), max(1, room))


def _bar(progress: TransferProgress, columns: int) -> str:
    assert progress.total_bytes
    filled = columns * min(progress.done_bytes, progress.total_bytes) // progress.total_bytes
    return "━" * filled + "╌" * (columns - filled)


def _figures(progress: TransferProgress) -> list[str]:
    total = progress.total_bytes
    if total:
        figures = [_percent(progress.done_bytes, total), _of(progress.done_bytes, total)]
    else:
        figures = [format_bytes(progress.done_bytes)]
    if progress.state is not TransferState.DOWNLOADING:
        return [*figures, _WORDS[progress.state]]
    rate = progress.rate_bytes_per_s
    if rate >= 1:
        figures.append(format_rate(rate))
        if total:
            figures.append(f"{format_duration((total - progress.done_bytes) / rate)} left")
    return figures


def _of(done_bytes: int, total_bytes: int) -> str:
    """`61.3/200 MiB`; both units where they differ."""
    done, total = format_bytes(done_bytes), format_bytes(total_bytes)
    number, _, unit = done.partition(" ")
    return f"{number if total.endswith(' ' + unit) else done}/{total}"


def _percent(done_bytes: int, total_bytes: int) -> str:
    return format_percent(done_bytes / total_bytes).rjust(5)


def finished_line(model: LocalModel, *, fetched: bool, duration_s: float) -> str:
    """The last line: what is here now, and whether its bytes were checked."""
    size = format_bytes(model.size_bytes)
    name = clean(model.name, keep_newlines=False)
    if not fetched:
        return f"{name} is here already ({size}, {model.origin.value})"
    checked = "SHA-256 verified" if model.is_verified else "not verified: its source publishes no hash"
    return f"Fetched {name}: {size} in {format_duration(duration_s)}, {checked}"


def interrupted_lines(progress: TransferProgress | None, typed: str) -> tuple[str, ...]:
    """After Ctrl-C: what is kept and how to go on."""
    again = f"bringup pull {clean(typed, keep_newlines=False)}"
    if progress is None or not progress.done_bytes:
        return (f"Stopped; nothing is kept. To fetch it: {again}",)
    of = f" of {format_bytes(progress.total_bytes)}" if progress.total_bytes else ""
    return (f"Stopped; {format_bytes(progress.done_bytes)}{of} are kept. To go on:", f"  {again}")


def model_json(model: LocalModel) -> dict[str, object]:
    """One model as data. `verified` says that the bytes were checked against a published hash."""
    return {
        "name": model.name,
        "paths": list(model.paths),
        "size_bytes": model.size_bytes,
        "origin": model.origin.name.lower(),
        "repository": model.repository,
        "quantisation": model.quant or None,
        "sha256": model.claimed_sha256,
        "verified": model.is_verified,
    }
