"""What the journal keeps of our engine builds: those proved, chosen and removed, and setups that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bringup.actions.journal import Note, record
from bringup.errors import BringupError

if TYPE_CHECKING:
    from bringup.actions.setup import SetupRequest, SetupResult
    from bringup.machine.folders import Folders


def record_setup(result: SetupResult, *, duration_s: float, ours: Folders) -> str:
    """An engine that was proved; a warning where that could not be written down."""
    proof, build, choice = result.proof, result.record, result.plan.choice
    name = build.name if build is not None else "the engine of the Python package"
    data = {
        "phase": "proved",
        "name": name,
        "version": proof.version,
        "backend": choice.backend.value,
        "method": choice.method.value,
        "why": list(choice.why),
        "cuda_archs": list(build.cuda_archs) if build is not None else [],
        "source": build.source if build is not None else "",
        "devices": list(proof.devices),
        "layers_on_gpu": proof.layers_on_gpu,
        "layers": proof.layers,
        "tokens_per_s": proof.tokens_per_s,
        "duration_s": round(duration_s, 3),
    }
    words = [f"{name}: proved in {duration_s:,.0f} s with version {proof.version}, {choice.backend.value}"]
    if proof.layers:
        words.append(f"{proof.layers_on_gpu} of {proof.layers} layers on the card")
    if proof.tokens_per_s:
        words.append(f"{proof.tokens_per_s:.1f} tokens/s")
    if build is not None:
        words.append("the current engine now")
    return _write(name, ", ".join(words), data, ours)


def record_failed_setup(
    request: SetupRequest, problem: BringupError, *, duration_s: float, ours: Folders
) -> str:
    """A setup that came to no proved engine; a warning where that could not be written down."""
    wishes, source = request.wishes, request.source
    data = {
        "phase": "failed",
        "backend": wishes.backend.value if wishes.backend is not None else "",
        "method": wishes.method.value if wishes.method is not None else "auto",
        "version": source.version or "",
        "source": source.source or "",
        "reference": problem.reference,
        "how": problem.message,
        "context": list(problem.context),
        "duration_s": round(duration_s, 3),
    }
    return _write("setup", f"no engine was set up: {problem.message}", data, ours)


def record_chosen(name: str, *, before: str | None, ours: Folders) -> str:
    """A build that was made the current one by hand; a warning where that could not be written down."""
    was = f", before it {before}" if before and before != name else ""
    data = {"phase": "chosen", "name": name, "before": before or ""}
    return _write(name, f"{name} is the current engine now{was}", data, ours)


def record_removed(name: str, *, was_current: bool, ours: Folders) -> str:
    """A build that was removed by hand; a warning where that could not be written down."""
    words = "; it was the current engine" if was_current else ""
    data = {"phase": "removed", "name": name, "was_current": was_current}
    return _write(name, f"{name} was removed{words}", data, ours)


def _write(subject: str, text: str, data: dict[str, Any], ours: Folders) -> str:
    from bringup.journal.entry import Kind

    return record(Note(Kind.SETUP, subject, text, data), ours=ours)
