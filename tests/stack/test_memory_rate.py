"""The speed of main memory: a real measurement here, and the firmware's words of other machines."""

from __future__ import annotations

import pytest

from bringup.machine.live import LiveMachine
from bringup.machine.protocol import CommandResult
from bringup.reading import Known
from bringup.stack.memory_rate import (
    MEASURE,
    bandwidth_bytes_per_s,
    measure_memory,
    parse_measurement,
    parse_modules,
)

# Made after dmidecode's usual output; two of four slots are filled.
DESKTOP = """
Handle 0x0011, DMI type 17, 92 bytes
Memory Device
	Total Width: 64 bits
	Data Width: 64 bits
	Size: 16 GB
	Locator: {first}
	Bank Locator: {first_bank}
	Speed: 3600 MT/s
	Configured Memory Speed: 3200 MT/s

Handle 0x0012, DMI type 17, 92 bytes
Memory Device
	Data Width: Unknown
	Size: No Module Installed
	Locator: DIMM_A2
	Speed: Unknown

Handle 0x0013, DMI type 17, 92 bytes
Memory Device
	Total Width: 64 bits
	Data Width: 64 bits
	Size: 16 GB
	Locator: {second}
	Bank Locator: {second_bank}
	Speed: 3600 MT/s
	Configured Memory Speed: 3200 MT/s
"""


def desktop(*places: str) -> str:
    names = ("first", "first_bank", "second", "second_bank")
    return DESKTOP.format(**dict(zip(names, places, strict=True)))


@pytest.mark.parametrize(
    ("places", "gb_per_s"),
    [
        (("DIMM_A1", "BANK 0", "DIMM_B1", "BANK 1"), 51.2),
        (("DIMM 0", "P0 CHANNEL A", "DIMM 0", "P0 CHANNEL B"), 51.2),
        (("ChannelA-DIMM0", "BANK 0", "ChannelB-DIMM0", "BANK 2"), 51.2),
        (("DIMM 0", "P0 CHANNEL A", "DIMM 1", "P0 CHANNEL A"), 25.6),
        (("Top", "x", "Bottom", "y"), 51.2),
    ],
)
def test_channels_times_rate(places: tuple[str, ...], gb_per_s: float) -> None:
    modules = parse_modules(desktop(*places))
    assert len(modules) == 2
    assert bandwidth_bytes_per_s(modules) == pytest.approx(gb_per_s * 1e9)


def test_two_processors_have_their_own_channels() -> None:
    modules = parse_modules(desktop("DIMM 0", "P0 CHANNEL A", "DIMM 0", "P1 CHANNEL A"))
    assert bandwidth_bytes_per_s(modules) == pytest.approx(51.2e9)


@pytest.mark.parametrize("text", ["", "# dmidecode 3.5\nScanning /dev/mem for entry point.\n"])
def test_no_modules(text: str) -> None:
    assert parse_modules(text) == ()


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2}', '{"schema": 1, "read_bytes_per_s": -1}', "{"])
def test_a_strange_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_measurement(CommandResult(MEASURE, 0, text, ""))


def test_a_real_measurement() -> None:
    found = measure_memory(LiveMachine())
    assert isinstance(found, Known)
    assert 1e9 < found.value < 5e12
