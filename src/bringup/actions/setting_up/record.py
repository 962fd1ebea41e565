"""What the journal keeps of our engine builds: those proved, chosen and removed, and setups that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bringup.actions.journal.silent_ends import own_mark
from bringup.actions.journal.writing import Note, record
from bringup.errors import BringupError, WrongUse
from bringup.machine import clock, process

if TYPE_CHECKING:
    from bringup.actions.setting_up.request import SetupPlan, SetupRequest, SetupResult
    from bringup.machine.folders import Folders


class SetupRecord:
    """One setup from its start to its end, however that comes."""

    def __init__(self, ours: Folders) -> None:
        """Nothing is written before it begins."""
        self._ours = ours
        self._started_s = clock.monotonic_s()
        self._run: dict[str, Any] = {}
        self._name = "setup"

    def begins(self, plan: SetupPlan) -> str:
        """It has the machine for itself now; a warning where that could not be written down."""
        self._run = {"run": process.random_bytes(4).hex()}
        self._name = plan.name or "the engine that is here"
        choice = plan.choice
        is_there = choice.method.value == "existing"
        words = "is being proved" if is_there else f"is being built for {choice.backend.value}"
        data = {"phase": "started", "backend": choice.backend.value, "method": choice.method.value}
        return _write(self._name, f"{self._name} {words}", {**data, **self._run, **own_mark()}, self._ours)

    def proved(self, result: SetupResult) -> str:
        """It came to a proved engine."""
        return record_setup(result, duration_s=self._spent_s(), ours=self._ours, more=self._run)

    def failed(self, request: SetupRequest, problem: BringupError) -> str:
        """It came to none; of a wish that could not be followed only what had begun is told."""
        if isinstance(problem, WrongUse) and not self._run:
            return ""
        return record_failed_setup(
            request, problem, duration_s=self._spent_s(), ours=self._ours, more=self._run
        )

    def stopped(self) -> str:
        """A person stopped it (Ctrl-C); what was built stays, and the next setup goes on."""
        if not self._run:
            return ""
        spent_s = self._spent_s()
        data = {"phase": "stopped", "how": "stopped by Ctrl-C", "duration_s": round(spent_s, 3), **self._run}
        return _write(self._name, f"{self._name}: stopped by Ctrl-C after {spent_s:,.0f} s", data, self._ours)

    def _spent_s(self) -> float:
        return clock.monotonic_s() - self._started_s


def record_setup(
    result: SetupResult, *, duration_s: float, ours: Folders, more: Mapping[str, Any] | None = None
) -> str:
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
        **(more or {}),
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
    request: SetupRequest,
    problem: BringupError,
    *,
    duration_s: float,
    ours: Folders,
    more: Mapping[str, Any] | None = None,
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
        **(more or {}),
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
