"""What this machine's own runs say of the speeds that are planned for it, out of the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from bringup import __version__
from bringup.machine import files, folders
from bringup.machine.live import LiveMachine
from bringup.plan.own_runs import Correction, Run, correction_of
from bringup.reading import Known
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.actions.preparation import Preparation
    from bringup.machine.folders import Folders
    from bringup.machine.protocol import Machine

_LOOK_BACK_ENTRIES: Final = 4000
_MOST_RUNS: Final = 64
_ALIKE: Final = 3.0

Basis = tuple[str, ...]
"""What a prediction was made from: two compare only where it is the same."""


@dataclass(frozen=True, slots=True)
class OwnRuns:
    """Runs of this machine, by what their predictions were made from; empty where none are known."""

    runs: Mapping[Basis, tuple[Run, ...]] = field(default_factory=dict)
    processor: str = ""

    def correction(self, sources: Iterable[str], tokens_per_s: float) -> Correction:
        """What a generation speed that is predicted from these sources is multiplied with.

        Only runs of about that speed count: a small model's say nothing of a large one's.
        """
        return correction_of(self.alike(sources, tokens_per_s))

    def alike(self, sources: Iterable[str], tokens_per_s: float) -> tuple[Run, ...]:
        """Runs that were predicted from the same sources to be about as fast."""
        runs = self.runs.get(_basis(sources, self.processor), ())
        return tuple(run for run in runs if 1 / _ALIKE < run.predicted / tokens_per_s < _ALIKE)


def processor_name(machine: Machine) -> str:
    """The processor's name; empty where it cannot be told."""
    from bringup.stack.processor import probe_name

    name = probe_name(machine)
    return name.value if isinstance(name, Known) else ""


def own_runs(machine: Machine, ours: Folders | None = None) -> OwnRuns:
    """The last runs of this machine. Never fails: a plan needs no journal."""
    try:
        place = ours or folders.our_folders()
        found = _measured(place) if files.size_bytes(place.journal_file) else {}
        return OwnRuns(found, processor_name(machine)) if found else OwnRuns()
    except Exception:  # noqa: BLE001 - the guard around the journal
        return OwnRuns()


def planned_speed(preparation: Preparation) -> dict[str, Any]:
    """What a run keeps of its plan so that it can be held against it; empty where the two do not compare.

    They do not where the user chose the threads or gave arguments of their own, or where the engine itself
    places the layers.
    """
    chosen = preparation.chosen
    if preparation.settings.extra or chosen.places_layers or chosen.planning.has_threads:
        return {}
    speed = chosen.planning.teller.tell_uncorrected(chosen.memory)
    if speed is None:
        return {}
    basis = _basis(speed.sources, processor_name(LiveMachine()))
    return {"tokens_per_s": round(speed.generation_empty.value, 3), "basis": list(basis)}


def _basis(sources: Iterable[str], processor: str) -> Basis:
    return (*sources, processor, f"bringup {__version__}")


def _measured(place: Folders) -> dict[Basis, tuple[Run, ...]]:
    """Runs with a prediction and a measurement, the newest last."""
    from bringup.actions.journal import is_kept
    from bringup.journal.entry import Kind
    from bringup.journal.store import read_journal

    if not is_kept(place):
        return {}
    with read_journal(place.journal_file) as journal:
        after = max(0, journal.highest_number_given() - _LOOK_BACK_ENTRIES)
        entries = journal.entries(kinds=(Kind.RUN,), after=after, last=2 * _MOST_RUNS)
    found: dict[Basis, tuple[Run, ...]] = {}
    for entry in entries:
        if entry.data.get("phase") == "ended" and (pair := _pair(entry.data)) is not None:
            basis, run = pair
            found[basis] = (*found.get(basis, ()), run)
    return found


def _pair(data: Mapping[str, Any]) -> tuple[Basis, Run] | None:
    planned, measured = data.get("planned"), data.get("generation_tokens_per_s")
    if not isinstance(planned, dict) or not isinstance(measured, int | float):
        return None
    predicted, basis = planned.get("tokens_per_s"), planned.get("basis")
    if not isinstance(predicted, int | float) or not isinstance(basis, list) or not basis:
        return None
    if predicted <= 0:
        return None
    return tuple(map(str, basis)), Run(float(predicted), float(measured))
