"""Cards that the PCI bus tells of: where no driver answers, where it leaves a name or a link open (made)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.actions.test_engine_plan import with_card
from tests.planning.made import file_of

from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.place import Described
from bringup.actions.planning.plan import plan_model
from bringup.actions.planning.start import PlanWishes
from bringup.machine.recorded import RecordedMachine
from bringup.plan.cards import all_cards, cards_with_id
from bringup.plan.request import Request
from bringup.units import GIB

ADDRESS = "0000:01:00.0"


def on_bus(folder: Path, device_id: str, *, lanes_now: str = "16", speed: str = "16.0 GT/s PCIe") -> None:
    """Put an NVIDIA card into a recorded machine's sysfs."""
    device = folder / "root/sys/bus/pci/devices" / ADDRESS
    device.mkdir(parents=True)
    files = {
        "class": "0x030000",
        "vendor": "0x10de",
        "device": device_id,
        "max_link_speed": speed,
        "max_link_width": "16",
        "current_link_speed": "2.5 GT/s PCIe",
        "current_link_width": lanes_now,
    }
    for name, text in files.items():
        (device / name).write_text(text + "\n")


def machine(folder: Path, device_id: str, *, answers: bool = False, **more: Any) -> RecordedMachine:
    """A machine whose driver answers or not, with a card on its bus."""
    with_card(folder, needs=("libcuda.so.1",), answers=answers)
    on_bus(folder, device_id, **more)
    return RecordedMachine(str(folder))


def test_a_driver_that_does_not_load_still_gives_a_plan(tmp_path: Path) -> None:
    broken = machine(tmp_path / "m", "0x2208")
    place = look_for_place(broken, Described(), expects_driver=True)
    (card,) = place.cards
    assert (card.name, card.title, card.compute_capability) == ("CUDA0", "NVIDIA GeForce RTX 3080 Ti", (8, 6))
    assert 11.4 * GIB < card.free_bytes < card.total_bytes == 12 * GIB
    (said,) = place.warnings
    assert "Driver not loaded: the plan is for NVIDIA GeForce RTX 3080 Ti as it will be" in said
    assert "See bringup doctor" in said
    wishes = PlanWishes(request=Request(n_ctx=8192))
    path = str(file_of(tmp_path, "gpt-oss-20b"))
    report = plan_model(path, wishes, may_send_token=lambda _: False, machine=broken)
    assert report.uses[0].used_bytes > 8 * GIB
    assert any("as it will be" in warning for warning in report.warnings)
    assert report.speed is not None


def test_what_is_started_now_does_not_count_on_it(tmp_path: Path) -> None:
    place = look_for_place(machine(tmp_path / "m", "0x2208"), Described())
    assert place.cards == ()
    assert "Planned without a card: the driver does not start" in place.warnings[0]


def test_an_id_of_two_sizes_is_planned_for_the_smaller(tmp_path: Path) -> None:
    place = look_for_place(machine(tmp_path / "m", "0x2d04"), Described(), expects_driver=True)
    assert place.cards[0].title == "NVIDIA GeForce RTX 5060 Ti 8GB"
    assert "RTX 5060 Ti 8GB (8 GiB) and NVIDIA GeForce RTX 5060 Ti 16GB (16 GiB)" in place.warnings[1]


def test_an_id_that_is_not_listed_is_no_card(tmp_path: Path) -> None:
    place = look_for_place(machine(tmp_path / "m", "0x0001"), Described(), expects_driver=True)
    assert place.cards == ()
    assert "Planned without a card" in place.warnings[0]


@pytest.mark.parametrize(
    ("speed", "lanes_now", "gigabytes"), [("16.0 GT/s PCIe", "16", 31.5), ("8.0 GT/s PCIe", "4", 3.94)]
)
def test_a_link_that_the_driver_does_not_tell_is_read_from_sysfs(
    tmp_path: Path, speed: str, lanes_now: str, gigabytes: float
) -> None:
    folder = tmp_path / "m"
    made = machine(folder, "0x2504", answers=True, speed=speed, lanes_now=lanes_now)
    assert look_for_place(made, Described()).links_bytes_per_s == {}, "the driver told no address"
    text = (folder / "commands.json").read_text()
    told = r"\"index\": 0, \"bus_address\": {\"value\": \"00000000:01:00.0\"}"
    (folder / "commands.json").write_text(text.replace(r"\"index\": 0", told))
    links = look_for_place(RecordedMachine(str(folder)), Described()).links_bytes_per_s
    assert links == {"CUDA0": pytest.approx(gigabytes * 1e9, rel=0.01)}


def test_a_name_that_is_not_listed_is_found_by_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    machine(folder, "0x2503", answers=True)
    text = (folder / "commands.json").read_text()
    told = r"\"index\": 0, \"bus_address\": {\"value\": \"00000000:01:00.0\"}"
    text = text.replace(r"\"index\": 0", told).replace("NVIDIA GeForce RTX 3060", "NVIDIA Graphics Device")
    (folder / "commands.json").write_text(text)
    place = look_for_place(RecordedMachine(str(folder)), Described())
    assert place.cards[0].title == "NVIDIA GeForce RTX 3060 12GB"


def test_every_desktop_card_of_the_sheet_has_an_id() -> None:
    wanted = [card for card in all_cards() if card.name.startswith(("NVIDIA GeForce", "NVIDIA RTX", "Tesla"))]
    assert len(wanted) > 90
    for card in wanted:
        assert card.pci_ids, card.name
        for one in card.pci_ids:
            vendor, device = one.split(":")
            assert card in cards_with_id(int(vendor, 16), int(device, 16))
    assert cards_with_id(0x10DE, 0xFFFF) == ()
