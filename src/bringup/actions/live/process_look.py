"""Looks at the processes that a live view shows: engines, programs on cards, the largest in main memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bringup.actions.live.sample import LiveProcess
from bringup.machine import clock, users
from bringup.machine.protocol import Machine
from bringup.reading import Known
from bringup.records import dataclass
from bringup.stack.processes import ProcessStat, list_process_ids, probe_command, probe_stat

_LARGEST: Final = 12
_LARGEST_S: Final = 2.0
"""How often those are looked at that are on no card and are no engines."""

_GENERATIONS: Final = 5
_SEARCH_S: Final = 15.0
"""Every process is looked at only so often: on a machine with a thousand of them that takes 50 ms."""


@dataclass(slots=True)
class _Seen:
    """What is remembered of a process between two looks."""

    start_ticks: int
    cpu_ticks: int
    looked_s: float
    user: str
    command: tuple[str, ...]


class ProcessLook:
    """Remembers what each look needs of the one before; for one thread."""

    def __init__(self, machine: Machine) -> None:
        """Nothing is seen yet."""
        self._machine = machine
        self._seen: dict[int, _Seen] = {}
        self._largest: tuple[int, ...] = ()
        self._others: tuple[LiveProcess, ...] = ()
        self._looked_s = float("-inf")
        self._looks = 0
        self._searched_s = float("-inf")
        self._page_bytes = users.page_bytes()
        self._ticks_per_s = users.ticks_per_s()

    def look(
        self, engines: Iterable[int], on_cards: Mapping[int, tuple[tuple[int, int | None], ...]]
    ) -> tuple[LiveProcess, ...]:
        """The processes that matter now; engines and programs on cards with four generations above them.

        Args:
            engines: process numbers of engines.
            on_cards: cards and bytes by process number.
        """
        now_s = clock.monotonic_s()
        engine_ids = frozenset(engines)
        if now_s - self._searched_s >= _SEARCH_S:
            self._largest = self._search()
            self._searched_s = now_s
        wanted = engine_ids | on_cards.keys()
        # The first two looks take all, so that there are rates.
        is_whole = self._looks < 2 or now_s - self._looked_s >= _LARGEST_S
        self._looks += 1
        stats = self._stats((*sorted(wanted), *(self._largest if is_whole else ())), wanted)
        found = [
            self._process(
                stat, now_s, cards=on_cards.get(stat.process_id, ()), is_engine=stat.process_id in engine_ids
            )
            for stat in stats
        ]
        shown = {process.process_id for process in found}
        if is_whole:
            self._others, self._looked_s = tuple(one for one in found if one.process_id not in wanted), now_s
        else:
            found += [one for one in self._others if one.process_id not in shown]
            shown |= {one.process_id for one in self._others}
        self._seen = {number: seen for number, seen in self._seen.items() if number in shown}
        return tuple(sorted(found, key=lambda process: (-process.card_bytes, -process.resident_bytes)))

    def _stats(self, wanted: Iterable[int], with_ancestors: frozenset[int]) -> tuple[ProcessStat, ...]:
        """The wanted processes that live, and the ancestors of some: who keeps an engine, who started it."""
        found: dict[int, ProcessStat] = {}
        for number in wanted:
            is_whole_line = number in with_ancestors
            for _ in range(_GENERATIONS if is_whole_line else 1):
                if number <= 1 and is_whole_line:
                    break
                stat = probe_stat(self._machine, number) if number not in found else Known(found[number], "")
                if not isinstance(stat, Known):
                    break
                found[number] = stat.value
                number = stat.value.parent_id
        return tuple(found.values())

    def _search(self) -> tuple[int, ...]:
        """Numbers of the processes that hold most main memory."""
        numbers = list_process_ids(self._machine)
        if not isinstance(numbers, Known):
            return ()
        stats = (probe_stat(self._machine, number) for number in numbers.value)
        found = [stat.value for stat in stats if isinstance(stat, Known)]
        found.sort(key=lambda stat: -stat.resident_pages)
        return tuple(stat.process_id for stat in found[:_LARGEST] if stat.resident_pages)

    def _process(
        self, stat: ProcessStat, now_s: float, *, cards: tuple[tuple[int, int | None], ...], is_engine: bool
    ) -> LiveProcess:
        before = self._seen.get(stat.process_id)
        if before is None or before.start_ticks != stat.start_ticks:
            before = _Seen(stat.start_ticks, stat.cpu_ticks, now_s, self._user(stat), self._command(stat))
            self._seen[stat.process_id] = before
        passed_s = now_s - before.looked_s
        ticks = stat.cpu_ticks - before.cpu_ticks
        before.cpu_ticks, before.looked_s = stat.cpu_ticks, now_s
        return LiveProcess(
            process_id=stat.process_id,
            start_ticks=stat.start_ticks,
            parent_id=stat.parent_id,
            user=before.user,
            name=stat.name,
            command=before.command,
            state=stat.state,
            cpu_share=ticks / self._ticks_per_s / passed_s if passed_s > 0 else 0.0,
            resident_bytes=stat.resident_pages * self._page_bytes,
            cards=cards,
            is_engine=is_engine,
        )

    def _user(self, stat: ProcessStat) -> str:
        folder = self._machine.stat(f"/proc/{stat.process_id}")
        return users.user_name(folder.value.user_id) if isinstance(folder, Known) else "?"

    def _command(self, stat: ProcessStat) -> tuple[str, ...]:
        return probe_command(self._machine, stat.process_id)
