"""From the end of an engine to its reason: the process's end, its log and the kernel's word together."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from typing import Final

from bringup.engine.exits import ExitKind, ExitReason
from bringup.engine.job import Ended, NotStarted
from bringup.engine.loading import Stall
from bringup.engine.watch import LogCause, find_cause, log_lines
from bringup.errors import FileTrouble
from bringup.machine import files, memory_kills
from bringup.machine.memory_kills import KillCount
from bringup.records import dataclass
from bringup.units import MIB

_CRASHES: Final = {
    signal.SIGSEGV: ("engine-crashed", "the engine crashed: it touched memory that is not its own"),
    signal.SIGFPE: ("engine-crashed", "the engine crashed: an arithmetic error"),
    signal.SIGABRT: ("engine-assertion", "the engine ended itself after an internal error"),
    signal.SIGILL: (
        "illegal-instruction",
        "the engine was built for another CPU (unknown instruction)",
    ),
    signal.SIGBUS: (
        "model-file-unreadable",
        "the model's file could not be read any more: it was shortened, or its disk failed",
    ),
}
_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


@dataclass(frozen=True, slots=True)
class Scene:
    """All that is known of an end.

    Attributes:
        event: the keeper's word; `None` when the keeper itself is gone.
        log_path: the engine's log.
        was_ready: it had answered before.
        port: the port that it was to have.
        pid: its process, `None` when there was none.
        stall: why we ended it for lack of progress; `None` otherwise.
        foreign: log lines that the model's strings could have made (`watch.foreign_lines`).
        kills_before: OOM kills of its memory group when it started.
    """

    event: Ended | NotStarted | None
    log_path: str
    was_ready: bool = False
    port: int = 0
    pid: int | None = None
    stall: Stall | None = None
    foreign: frozenset[str] = frozenset()
    kills_before: KillCount | None = None


def explain(scene: Scene) -> ExitReason:
    """The reason of an end."""
    event = scene.event
    if event is None:
        return ExitReason(
            ExitKind.KILLED,
            "the engine's keeper was killed, and the engine with it",
            reference="engine-killed",
        )
    if isinstance(event, NotStarted):
        return ExitReason(
            ExitKind.CANNOT_RUN,
            "the engine cannot be started",
            evidence=(event.why,),
            reference="engine-not-usable",
            hint="Look at that path and its rights.",
        )
    if scene.stall is not None:
        return _stalled(scene, scene.stall, event)
    if event.was_asked:
        return _asked(event)
    return _by_itself(scene, event)


def _asked(event: Ended) -> ExitReason:
    how = " and was killed, for it did not end by itself" if event.was_killed else ""
    return ExitReason(
        ExitKind.STOPPED,
        f"it was asked to stop{how}",
        reference="stopped",
        exit_code=event.exit_code,
        signal_number=event.signal_number,
    )


def _stalled(scene: Scene, stall: Stall, event: Ended) -> ExitReason:
    found = _from_log(scene)
    return ExitReason(
        ExitKind.STALLED,
        f"the engine made no progress while loading: {stall.why}",
        evidence=found.evidence if found else (),
        reference=found.sign.reference if found else stall.reference,
        hint=f"Its log: {scene.log_path}",
        exit_code=event.exit_code,
        signal_number=event.signal_number,
    )


def _by_itself(scene: Scene, event: Ended) -> ExitReason:
    number = signal.Signals(event.signal_number) if event.signal_number in _NUMBERS else None
    if number is signal.SIGKILL:
        return _killed(scene, event)
    if number in _STOPS:
        return ExitReason(
            ExitKind.STOPPED,
            f"somebody else ended the engine ({signal.Signals(number).name})",
            reference="stopped",
            signal_number=event.signal_number,
        )
    found = _from_log(scene)
    if found is not None:
        return ExitReason(
            found.sign.kind,
            found.sentence,
            evidence=found.evidence,
            reference=found.sign.reference,
            hint=found.sign.hint,
            exit_code=event.exit_code,
            signal_number=event.signal_number,
        )
    if number in _CRASHES:
        reference, sentence = _CRASHES[number]
        kind, how = ExitKind.CRASHED, f"{signal.Signals(number).name}"
        evidence: tuple[str, ...] = (f"ended by signal {how}",)
    else:
        reference, kind, evidence = "engine-failed", ExitKind.FAILED, ()
        sentence = f"the engine ended by itself ({_how(event)}) and its log does not say why"
    return ExitReason(
        kind,
        sentence,
        evidence=evidence,
        reference=reference,
        hint=f"Its log: {scene.log_path}",
        exit_code=event.exit_code,
        signal_number=event.signal_number,
    )


_NUMBERS: Final = frozenset(int(number) for number in signal.Signals)


def _how(event: Ended) -> str:
    return f"exit code {event.exit_code}" if event.signal_number is None else f"signal {event.signal_number}"


def _killed(scene: Scene, event: Ended) -> ExitReason:
    """SIGKILL that was not ours: the kernel's OOM killer where it left a trace, somebody else where not."""
    traces = memory_kills.traces(scene.pid, before=scene.kills_before)
    peak = f"it had {event.peak_bytes // MIB:,} MiB of RAM at its peak"
    if traces:
        return ExitReason(
            ExitKind.KILLED_OUT_OF_MEMORY,
            f"the kernel's OOM killer ended the engine: {peak}",
            evidence=traces,
            reference="ram-oom-killed",
            hint="Take a smaller context (--ctx-size) or model, or give it more memory.",
            signal_number=event.signal_number,
        )
    return ExitReason(
        ExitKind.KILLED,
        f"somebody killed the engine (SIGKILL); {peak}",
        evidence=memory_kills.blind_spots(scene.pid, before=scene.kills_before),
        reference="engine-killed",
        hint="If nobody did, look for the OOM killer: sudo dmesg | grep -i 'killed process'",
        signal_number=event.signal_number,
    )


def _from_log(scene: Scene) -> LogCause | None:
    # `.1` is the older part of this very run, where the log grew beyond its limit.
    parts = (_file_lines(scene.log_path + ".1"), _file_lines(scene.log_path))
    return find_cause(itertools.chain(*parts), foreign=scene.foreign)


def _file_lines(path: str) -> Iterator[str]:
    try:
        log = files.open_binary(path)
    except FileTrouble:
        return
    with log:
        yield from log_lines(log)
