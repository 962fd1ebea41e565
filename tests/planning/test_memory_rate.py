"""How fast main memory is: measured once and kept, else by its modules, else assumed; always said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.stubs.command_line import Home, run_cli

from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.memory_rate import known_rates, measured_rates
from bringup.actions.planning.place import Described, Place
from bringup.machine import rights
from bringup.machine.folders import our_folders
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import CommandResult
from bringup.plan.rates import ASSUMED_RAM_BYTES_PER_S, Origin
from bringup.reading import Absent, Known, Reading

MODULE = "Memory Device\n\tData Width: 64 bits\n\tSize: 16 GB\n\tLocator: DIMM_{0}1\n\tSpeed: 3600 MT/s\n"


class Machine(LiveMachine):
    """This machine with made answers of two programs."""

    def __init__(self, *, has_modules: bool = True, processor: str = "A made processor") -> None:
        self.asked: list[str] = []
        self._has_modules = has_modules
        self._processor = processor

    def run(self, argv: tuple[str, ...], *, timeout_s: float) -> Reading[CommandResult]:
        self.asked.append(argv[0])
        if argv[0] == "bringup-memory":
            return Known(
                CommandResult(("bringup-memory",), 0, '{"schema": 1, "read_bytes_per_s": 24000000000}', ""),
                "made",
            )
        if argv[0] == "dmidecode" and self._has_modules:
            return Known(
                CommandResult(("dmidecode",), 0, MODULE.format("A") + "\n" + MODULE.format("B"), ""), "made"
            )
        return Absent(argv[0])

    def read_text(self, path: str, **more: int) -> Reading[str]:
        if path == "/proc/cpuinfo":
            return Known(f"processor\t: 0\nmodel name\t: {self._processor}\n", path)
        return super().read_text(path, **more)


@pytest.fixture
def place(own_home: Path) -> Place:
    return look_for_place(LiveMachine(), Described(cpu_only=True))


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "is_root", lambda: True)
    monkeypatch.setattr(rights, "is_roots_own", lambda _: True)


def test_a_measurement_is_kept_for_later_plans_of_this_machine(place: Place) -> None:
    machine = Machine()
    now = measured_rates(place, machine)
    assert now.origin is Origin.MEASURED and len(now.day) == len("2026-11-26")
    assert known_rates(place, machine) == now
    assert machine.asked == ["bringup-memory"], "measured once"
    other = known_rates(place, Machine(processor="Another", has_modules=False))
    assert other.origin is Origin.ASSUMED, "it may be another machine with the same home"


def test_the_modules_are_asked_once_before_anything_is_assumed(place: Place, as_root: None) -> None:
    machine = Machine()
    first, again = known_rates(place, machine), known_rates(place, machine)
    assert first.bandwidth_bytes_per_s == 2 * 3600e6 * 8
    assert first.origin is Origin.MODULES and again == first
    assert machine.asked == ["dmidecode"]
    assert measured_rates(place, machine) == known_rates(place, machine), "a measurement is better"


def test_without_roots_rights_the_modules_are_not_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rights, "is_root", lambda: False)
    machine = Machine()
    assert known_rates(place, machine).origin is Origin.ASSUMED
    assert machine.asked == []


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 9}', "\0", '{"measured": 1}'])
def test_a_damaged_file_is_none(place: Place, text: str) -> None:
    path = Path(our_folders().main_memory_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    found = known_rates(place, Machine(has_modules=False))
    assert (found.origin, found.bandwidth_bytes_per_s) == (Origin.ASSUMED, ASSUMED_RAM_BYTES_PER_S)


def test_a_plan_says_when_memory_was_measured(own_home: Path, small_model: Path) -> None:
    words = ("plan", str(small_model), "--cpu-only", "--json")
    first = json.loads(run_cli(Home(own_home), *words, "--measure-ram").stdout)
    later = json.loads(run_cli(Home(own_home), *words).stdout)
    said = [line for line in later["assumptions"] if "measured here on 20" in line]
    assert len(said) == 1
    assert said[0] in first["assumptions"]
    logged = run_cli(Home(own_home), "log").stdout
    assert len(re.findall(r"  bench +main memory carries [\d.]+ GB/s, measured", logged)) == 1
    given = json.loads(run_cli(Home(own_home), *words, "--ram-bandwidth", "60").stdout)
    assert not [line for line in given["assumptions"] if "measured" in line]
