"""Cases on the disk: `tests/cases/<fault-id>/<variant>/` with case.toml and a paste or a machine."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import Diagnosis, diagnose
from bringup.faults._scene import Scene
from bringup.machine.recorded import RecordedMachine
from bringup.stack.pasted import read_pasted
from bringup.stack.probe import probe_stack

CASES = Path(__file__).parents[1] / "cases"


@dataclass(frozen=True)
class Case:
    """One case: where it lies, whose it is, and what must come out.

    `expected` are the roots in order; `follows`, where it is given, the folded faults in any order.
    """

    folder: Path
    fault_id: str
    origin: str
    link: str
    expected: tuple[str, ...]
    follows: tuple[str, ...] | None

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def is_machine(self) -> bool:
        return (self.folder / "root").is_dir()


@lru_cache(maxsize=1)
def all_cases() -> tuple[Case, ...]:
    """Every folder with a case.toml, by name."""
    return tuple(read_case(path.parent) for path in sorted(CASES.glob("*/*/case.toml")))


def read_case(folder: Path) -> Case:
    table = tomllib.loads((folder / "case.toml").read_text())
    return Case(
        folder=folder,
        fault_id=folder.parent.name,
        origin=table["origin"],
        link=table.get("link", ""),
        expected=tuple(table["expected"]),
        follows=tuple(table["follows"]) if "follows" in table else None,
    )


def scene_of(case: Case) -> Scene:
    """The case as rules see it, through the same doors as the product."""
    if case.is_machine:
        looked = probe_stack(RecordedMachine(str(case.folder)))
        assert [look for look in looked.looks if look.problem] == []
        return Scene(looked.stack, looked.lines)
    stack, lines = read_pasted((case.folder / "paste.txt").read_text(encoding="utf-8"))
    return Scene(stack, lines)


def diagnosis_of(case: Case) -> Diagnosis:
    return diagnose(scene_of(case), load_catalogue())
