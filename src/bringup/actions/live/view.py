"""What a live view watches: the sampler and the doctor over one machine, opened and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from bringup.actions.diagnosis.doctor import choose_machine
from bringup.actions.live.engine_watch import NOT_ASKED_YET
from bringup.actions.live.faults import FaultWatch, Health
from bringup.actions.live.sample import LiveEngine, Sample
from bringup.actions.live.sampler import Sampler
from bringup.machine import clock, folders
from bringup.machine.kernel_tail import KernelTail
from bringup.machine.live import LiveMachine
from bringup.reading import NOT_LOOKED, Known
from bringup.records import dataclass

_FIRST_ANSWER_S: Final = 2.0
_XID: Final = "NVRM: Xid ("


@dataclass(frozen=True, slots=True)
class LiveView:
    """One machine that is watched."""

    sampler: Sampler
    faults: FaultWatch
    is_live: bool
    errors: CardErrors | None = None


class CardErrors:
    """Errors of cards (Xid) that the kernel tells from now on."""

    def __init__(self, tail: KernelTail) -> None:
        """`tail` is read by nobody else."""
        self._tail = tail
        self._count = 0

    def count(self) -> int:
        """How many there were so far.

        Raw line: `NVRM: Xid (PCI:0000:0b:00): 79, pid=1234, GPU has fallen off the bus.`
        """
        self._count += sum(_XID in line for line in self._tail.new_lines())
        return self._count

    def close(self) -> None:
        """Count no more."""
        self._tail.close()


def open_view(recording: str | None, *, interval_s: float) -> LiveView:
    """Nothing is looked at yet.

    Raises:
        WrongUse: there is no such recording.
    """
    machine, subject = choose_machine(root=None, recording=recording)
    is_live = isinstance(machine, LiveMachine)
    ours = folders.our_folders() if is_live else None
    sampler = Sampler(machine, subject=subject, folders=ours, interval_s=interval_s)

    errors = CardErrors(KernelTail()) if is_live else None

    def signal() -> object:
        """Which cards answer, which engines failed, how many errors of cards the kernel told."""
        n_errors = errors.count() if errors is not None else 0
        sample = sampler.latest()
        if sample is None:
            return None
        cards = sample.cards.value if isinstance(sample.cards, Known) else sample.cards
        answering = tuple(live.card.is_lost for live in cards) if isinstance(cards, tuple) else cards
        failed = frozenset(one.port for one in sample.engines if one.state == "failed")
        return answering, failed, n_errors

    faults = FaultWatch(machine, subject=subject, place=ours, signal=signal)
    return LiveView(sampler, faults, is_live, errors)


@contextmanager
def watching(recording: str | None, *, interval_s: float) -> Iterator[LiveView]:
    """A view that looks in threads of its own until the block ends."""
    view = open_view(recording, interval_s=interval_s)
    view.sampler.start()
    view.faults.start()
    try:
        yield view
    finally:
        view.faults.close()
        view.sampler.close()
        if view.errors is not None:
            view.errors.close()


def look_once(recording: str | None, *, apart_s: float) -> tuple[Sample, Health | None]:
    """One look as a person wants it: rates need two looks, engines need a moment to answer.

    Args:
        recording: a recorded machine; `None` for this one.
        apart_s: between the two looks; a recorded machine needs one only.

    Raises:
        WrongUse: there is no such recording.
    """
    view = open_view(recording, interval_s=apart_s)
    try:
        sample = view.sampler.look()
        view.faults.look_now()
        if not view.is_live:
            return sample, view.faults.health
        until_s = clock.monotonic_s() + _FIRST_ANSWER_S
        clock.sleep_s(apart_s)
        sample = view.sampler.look()
        while _is_waiting(sample) and clock.monotonic_s() < until_s:
            clock.sleep_s(0.1)
            sample = view.sampler.look()
        engines = tuple(_without_answer(engine) for engine in sample.engines)
        return replace(sample, engines=engines), view.faults.health
    finally:
        view.sampler.close()


def _without_answer(engine: LiveEngine) -> LiveEngine:
    """One that had its moment and used it for nothing is not called ready, whatever its record says."""
    if engine.trouble != NOT_ASKED_YET or engine.state != "ready":
        return engine
    return replace(engine, state="not answering", trouble=f"no answer within {_FIRST_ANSWER_S:g} s")


def _is_waiting(sample: Sample) -> bool:
    """Whether an engine was asked and has not answered, or its planned speed is still worked out."""
    return any(
        engine.trouble == NOT_ASKED_YET
        or (engine.window_tokens is not None and not engine.trouble and engine.planned is NOT_LOOKED)
        for engine in sample.engines
    )
