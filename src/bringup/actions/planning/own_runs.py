"""What this machine's own runs say of the speeds that are planned for it, out of the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bringup import __version__
from bringup.machine import files, folders
from bringup.plan.own_runs import Correction, Run, correction_of
from bringup.reading import Known
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.machine.folders import Folders
    from bringup.machine.protocol import Machine

_LOOK_BACK_ENTRIES: Final = 4000
_MOST_RUNS: Final = 64
_ALIKE: Final = 3.0

Basis = tuple[str, ...]
"""What a prediction was made from: two compare only where it is the same."""


@dataclass(frozen=True, slots=True)
class OwnRuns:
    """Runs of this machine, by what their predictions were made from; empty where none are known.

    Attributes:
        runs: their answers.
        processor: its name, which is part of that.
        prompts: their longest prompts, each against what was predicted for one of that length.
    """

    runs: Mapping[Basis, tuple[Run, ...]] = field(default_factory=dict)
    processor: str = ""
    prompts: Mapping[Basis, tuple[Run, ...]] = field(default_factory=dict)

    def correction(self, sources: Iterable[str], tokens_per_s: float) -> Correction:
        """What a generation speed that is predicted from these sources is multiplied with.

        Only runs of about that speed count: a small model's say nothing of a large one's.
        """
        return correction_of(self.alike(sources, tokens_per_s))

    def prompt_correction(self, sources: Iterable[str], tokens_per_s: float) -> Correction:
        """The same of a speed at which prompts are read."""
        return correction_of(_alike(self.prompts.get(basis_for(sources, self.processor), ()), tokens_per_s))

    def alike(self, sources: Iterable[str], tokens_per_s: float) -> tuple[Run, ...]:
        """Runs that were predicted from the same sources to be about as fast."""
        return _alike(self.runs.get(basis_for(sources, self.processor), ()), tokens_per_s)


def _alike(runs: Iterable[Run], tokens_per_s: float) -> tuple[Run, ...]:
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
        if not files.size_bytes(place.journal_file):
            return OwnRuns()
        runs, prompts = _measured(place)
        return OwnRuns(runs, processor_name(machine), prompts) if runs or prompts else OwnRuns()
    except Exception:  # noqa: BLE001 - the guard around the journal
        return OwnRuns()


def basis_for(sources: Iterable[str], processor: str) -> Basis:
    """The basis of a prediction from these sources: it is this processor's, and this version's."""
    return (*sources, processor, f"bringup {__version__}")


def _measured(place: Folders) -> tuple[dict[Basis, tuple[Run, ...]], dict[Basis, tuple[Run, ...]]]:
    """Answers and prompts with a prediction and a measurement, the newest last."""
    from bringup.actions.journal.writing import is_kept
    from bringup.journal.entry import Kind
    from bringup.journal.store import read_journal

    if not is_kept(place):
        return {}, {}
    with read_journal(place.journal_file) as journal:
        after = max(0, journal.highest_number_given() - _LOOK_BACK_ENTRIES)
        entries = journal.entries(kinds=(Kind.RUN,), after=after, last=2 * _MOST_RUNS)
    runs: dict[Basis, tuple[Run, ...]] = {}
    prompts: dict[Basis, tuple[Run, ...]] = {}
    behind: dict[object, object] = {}
    for entry in entries:
        data = entry.data
        if data.get("phase") == "started" and data.get("is_detached"):
            behind[data.get("port")] = data.get("planned")
        if data.get("phase") != "ended":
            continue
        # The end of a detached engine is written by a command that knows nothing of its plan.
        planned = behind.pop(data.get("port"), None) if data.get("is_detached") else data.get("planned")
        if not isinstance(planned, dict) or (basis := _basis_of(planned)) is None:
            continue
        if (run := _answer(planned, data)) is not None:
            runs[basis] = (*runs.get(basis, ()), run)
        if (run := _prompt(planned, data)) is not None:
            prompts[basis] = (*prompts.get(basis, ()), run)
    return runs, prompts


def _basis_of(planned: Mapping[str, Any]) -> Basis | None:
    basis = planned.get("basis")
    return tuple(map(str, basis)) if isinstance(basis, list) and basis else None


def _answer(planned: Mapping[str, Any], data: Mapping[str, Any]) -> Run | None:
    predicted, measured = planned.get("tokens_per_s"), data.get("generation_tokens_per_s")
    if not isinstance(predicted, int | float) or not isinstance(measured, int | float) or predicted <= 0:
        return None
    return Run(float(predicted), float(measured))


def _prompt(planned: Mapping[str, Any], data: Mapping[str, Any]) -> Run | None:
    """The longest prompt of a run against what was predicted for its length."""
    measured, told = data.get("longest_prompt"), planned.get("prompts")
    if not isinstance(measured, dict) or not isinstance(told, list):
        return None
    n_prompt, rate = measured.get("tokens"), measured.get("tokens_per_s")
    if not isinstance(n_prompt, int) or not isinstance(rate, int | float):
        return None
    points = [(one[0], one[1]) for one in told if _is_point(one)]
    predicted = _between(points, n_prompt)
    return Run(predicted, float(rate)) if predicted else None


def _is_point(one: object) -> bool:
    if not isinstance(one, list) or len(one) != 2:
        return False
    return all(isinstance(number, int | float) and number > 0 for number in one)


def _between(points: list[tuple[float, float]], n_prompt: int) -> float:
    """The prediction for a length; 0 for one that lies outside of those that are kept."""
    for (low, slow), (high, fast) in pairwise(sorted(points)):
        if low <= n_prompt <= high:
            return slow + (fast - slow) * (n_prompt - low) / (high - low)
    return 0.0
