"""The one sampler: looks once an interval, for however many viewers (`top`, the page, the exporter)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from bringup.actions.live.card_shares import planned_shares, share_memory
from bringup.actions.live.engine_looks import EngineLooks
from bringup.actions.live.engine_speed import EngineSpeeds
from bringup.actions.live.history import History, point_of
from bringup.actions.live.process_look import ProcessLook
from bringup.actions.live.sample import LiveCard, LiveEngine, Sample
from bringup.machine import clock
from bringup.machine.folders import Folders
from bringup.machine.live import LiveMachine
from bringup.machine.nvml_watch import NvmlWatch
from bringup.machine.protocol import CommandResult, Machine
from bringup.reading import NOT_LOOKED, Known, Reading, Unreadable, convert
from bringup.records import replace
from bringup.stack import nvml
from bringup.stack.card_load import CardLoad, parse_loads
from bringup.stack.host import parse_cpu_list
from bringup.stack.memory import Memory, probe_memory, renew_memory
from bringup.stack.nvml import Nvml
from bringup.stack.processes import CpuTimes, probe_cpu_times

SHORTEST_S: Final = 0.2
_RENEW_S: Final = 60.0
"""How often NVML is opened anew while a card is lost, because only then one that came back is seen."""

_LIBRARY_S: Final = 30.0
_LIMITS_S: Final = 15.0
"""How often that is read which hardly ever changes: limits of memory, the number of processors."""


class Sampler:
    """Looks at a machine; `look` for one look, `start` for a thread that goes on looking.

    Attributes:
        history: what the charts show.
        interval_s: between two looks; may be changed at any time.
        problem: what ended the thread, which is a mistake of ours; `None` while it goes on.
    """

    def __init__(
        self, machine: Machine, *, subject: str, folders: Folders | None, interval_s: float = 1.0
    ) -> None:
        """Looks at nothing yet.

        Args:
            machine: what is looked at.
            subject: which machine, in words.
            folders: ours, with the engines that run; `None` for a machine that is not this one.
            interval_s: between two looks.
        """
        self.history = History()
        self._machine = machine
        self._subject = subject
        self.interval_s = max(SHORTEST_S, interval_s)
        self._driver = _Driver(machine)
        self._engines = EngineLooks(machine, folders, interval_s=self.interval_s)
        self._speeds = EngineSpeeds(machine, folders)
        self._processes = ProcessLook(machine)
        self._times: CpuTimes | None = None
        self._memory = Memory()
        self._cpus: Reading[int] = NOT_LOOKED
        self._limits_s = float("-inf")
        self._number = 0
        self._latest: Sample | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem: Exception | None = None
        self._tell: Callable[[], object] | None = None

    def start(self) -> None:
        """Look again and again in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more and end what was started for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10.0)
        self._engines.close()
        self._driver.close()

    def on_sample(self, tell: Callable[[], object] | None) -> None:
        """Call this after each look, in the sampler's own thread; `None` for nobody any more."""
        self._tell = tell

    def latest(self) -> Sample | None:
        """The newest sample; `None` before the first."""
        return self._latest

    def look(self) -> Sample:
        """Look once."""
        started_s = clock.monotonic_s()
        told, loads = self._driver.look()
        engines = self._engines.look()
        facts = told.cards.value if isinstance(told.cards, Known) else ()
        engines = tuple(replace(one, planned=self._speeds.of(one, facts)) for one in engines)
        cards = _join(told, loads, engines)
        processes = self._processes.look(
            [engine.process_id for engine in engines if engine.process_id], _on_cards(told)
        )
        now = self._machine.now_s()
        memory = self._memory_now()
        self._number += 1
        sample = Sample(
            number=self._number,
            taken_s=now.value if isinstance(now, Known) else clock.wall_s(),
            subject=self._subject,
            driver=told,
            cards=cards,
            memory=memory,
            cpu_share=self._cpu_share(),
            cpus=self._cpus,
            engines=engines,
            processes=processes,
            engines_trouble=self._engines.trouble,
            took_s=clock.monotonic_s() - started_s,
        )
        self.history.add(point_of(sample))
        return sample

    def _memory_now(self) -> Memory:
        """Floors and pressure now; limits, and how many processors there are, as of some seconds ago."""
        now_s = clock.monotonic_s()
        if now_s - self._limits_s >= _LIMITS_S:
            self._memory, self._limits_s = probe_memory(self._machine), now_s
            self._cpus = convert(
                self._machine.read_text("/sys/devices/system/cpu/online"),
                lambda text: len(parse_cpu_list(text)),
            )
            return self._memory
        return renew_memory(self._machine, self._memory)

    def _cpu_share(self) -> Reading[float]:
        times = probe_cpu_times(self._machine)
        before = self._times
        if not isinstance(times, Known):
            return times
        self._times = times.value
        if before is None:
            return Unreadable(times.source, "not measured before the second look")
        return Known(times.value.busy_share(before), times.source)

    def _run(self) -> None:
        due_s = clock.monotonic_s()
        while not self._stop.is_set():
            try:
                self._publish(self.look(), None)
            except Exception as problem:  # noqa: BLE001 - the guard of this loop: viewers are told
                self._publish(self._latest, problem)
                return
            due_s = max(due_s + self.interval_s, clock.monotonic_s())
            self._stop.wait(max(0.0, due_s - clock.monotonic_s()))

    def _publish(self, sample: Sample | None, problem: Exception | None) -> None:
        self._latest, self.problem = sample, problem
        tell = self._tell
        if tell is not None:
            tell()


class _Driver:
    """What the driver says: by a process that stays on this machine, once and for all of another."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watch = NvmlWatch() if isinstance(machine, LiveMachine) else None
        self._kept: tuple[Nvml, tuple[CardLoad, ...]] | None = None
        self._kept_s = float("-inf")
        self._renewed_s = clock.monotonic_s()

    def look(self) -> tuple[Nvml, tuple[CardLoad, ...]]:
        """Facts and loads now."""
        if self._watch is None:
            if self._kept is None:
                self._kept = nvml.probe_nvml(self._machine), ()
            return self._kept
        now_s = clock.monotonic_s()
        if self._kept is not None and now_s - self._kept_s < _LIBRARY_S:
            return self._kept
        unseen = None if self._watch.is_open else nvml.find_no_library(self._machine)
        if unseen is not None:
            self._kept, self._kept_s = (Nvml(unseen, unseen, unseen, unseen, unseen), ()), now_s
            return self._kept
        return self._ask(self._watch, now_s)

    def _ask(self, watch: NvmlWatch, now_s: float) -> tuple[Nvml, tuple[CardLoad, ...]]:
        answer: Reading[CommandResult] = watch.look()
        told = nvml.read_nvml(self._machine, answer)
        loads = convert(answer, parse_loads)
        cards = told.cards.value if isinstance(told.cards, Known) else ()
        if any(isinstance(card.trouble, Known) for card in cards) and now_s - self._renewed_s > _RENEW_S:
            watch.renew()
            self._renewed_s = now_s
        return told, loads.value if isinstance(loads, Known) else ()

    def close(self) -> None:
        """End the process."""
        if self._watch is not None:
            self._watch.close()


def _join(
    told: Nvml, loads: tuple[CardLoad, ...], engines: tuple[LiveEngine, ...]
) -> Reading[tuple[LiveCard, ...]]:
    if not isinstance(told.cards, Known):
        return told.cards
    by_index = {load.index: load for load in loads}
    cards = (
        LiveCard(
            card,
            by_index.get(card.index, CardLoad(card.index)),
            share_memory(card, engines, told.cards.value),
            planned_shares(card, engines),
        )
        for card in told.cards.value
    )
    return Known(tuple(cards), told.cards.source)


def _on_cards(told: Nvml) -> dict[int, tuple[tuple[int, int | None], ...]]:
    found: dict[int, tuple[tuple[int, int | None], ...]] = {}
    for card in told.cards.value if isinstance(told.cards, Known) else ():
        for one in card.processes.value if isinstance(card.processes, Known) else ():
            size = one.used_bytes.value if isinstance(one.used_bytes, Known) else None
            found[one.process_id] = (*found.get(one.process_id, ()), (card.index, size))
    return found
