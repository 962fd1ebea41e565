"""Where a plan is made for: real NVML bindings on a stand-in of the driver, and machines in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.planning.made import described, planned
from tests.stubs.driver_stub import play

from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.place import Described
from bringup.errors import BringupError, WrongUse
from bringup.machine.live import LiveMachine
from bringup.plan.rates import HostRates, speed_devices
from bringup.plan.request import DeviceKind, Request
from bringup.units import GIB, MIB


@pytest.fixture
def driver(built_driver: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(built_driver))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    play(built_driver, "cards 1")
    return built_driver


def test_a_card_comes_with_what_others_hold_of_it(driver: Path) -> None:
    place = look_for_place(LiveMachine(), Described())
    card, main = place.devices
    assert (card.name, card.kind, card.title) == ("CUDA0", DeviceKind.CUDA, "NVIDIA GeForce RTX 3080 Ti")
    assert (card.total_bytes, card.free_bytes) == (12_288 * MIB, 11_476 * MIB)
    assert card.compute_capability is not None
    (holder,) = place.holders
    assert (holder.device, holder.process_id, holder.used_bytes) == ("CUDA0", 1, 614 * MIB)
    assert holder.name
    assert main.name == "CPU" and 0 < main.free_bytes <= main.total_bytes
    assert place.is_this_machine and place.warnings == ()


def test_a_narrow_slot_is_seen_and_a_described_one_assumed(driver: Path, gpt_oss: Path) -> None:
    card = "NVIDIA GeForce RTX 3080 Ti"
    wide, seen = _link(LiveMachine()), look_for_place(LiveMachine(), Described()).links_bytes_per_s
    assert wide == pytest.approx(31.5e9) and seen == {"CUDA0": pytest.approx(31.5e9, rel=0.01)}
    play(driver, "cards 1", "lanes 4", "generation 3")
    assert _link(LiveMachine()) == pytest.approx(3.94e9, rel=0.01), "an idle card's generation 1 is not it"
    play(driver, "cards 1", "nvmlDeviceGetMaxPcieLinkWidth 3")
    assert look_for_place(LiveMachine(), Described()).links_bytes_per_s == {}, "not told"
    partly = Request(n_ctx=8192, n_gpu_layers=8)
    said = planned(gpt_oss, described("RTX 3080 Ti", ram_gib=64), partly).assumptions
    assert [line for line in said if "whole PCIe link, 32 GB/s" in line and card[7:] in line]
    whole = planned(gpt_oss, described("RTX 4090", ram_gib=64), Request(n_ctx=8192)).assumptions
    assert not [line for line in whole if "PCIe" in line], "nothing goes over it"


def _link(machine: LiveMachine) -> float:
    place = look_for_place(machine, Described())
    return speed_devices(place.devices, HostRates(), links_bytes_per_s=place.links_bytes_per_s)[
        0
    ].link_bytes_per_s


def test_closing_programs_is_offered_by_name_and_size(driver: Path, gpt_oss: Path) -> None:
    play(driver, "cards 1", "used_mib 9900", "process_mib 9814")
    report = planned(gpt_oss, Described(ram_bytes=64 * GIB), Request(n_ctx=8192))
    ways = [way for way in report.alternatives if way.what.startswith("Close ")]
    assert len(ways) == 1
    assert "(1, 9,814 MiB)" in ways[0].what
    assert report.alternatives[0] == ways[0], "it costs least"


def test_a_card_that_its_desktop_fills_is_told(driver: Path, llama: Path) -> None:
    play(driver, "cards 1", "used_mib 12100")
    report = planned(llama, Described(ram_bytes=64 * GIB))
    assert any("has only 188 of 12,288 MiB free" in warning for warning in report.warnings)
    assert report.fits, "main memory is there"
    assert report.uses[0].used_bytes == 0
    assert "main memory" in report.verdict


def test_cpu_only_does_not_ask_the_driver(driver: Path, llama: Path) -> None:
    play(driver, "nvmlInitWithFlags hang")
    place = look_for_place(LiveMachine(), Described(cpu_only=True))
    assert place.cards == () and place.warnings == ()
    report = planned(llama, Described(cpu_only=True, ram_bytes=64 * GIB))
    assert report.command[report.command.index("--gpu-layers") + 1] == "0", "a card may be there all the same"


def test_a_driver_that_fails_is_not_a_machine_without_a_card(driver: Path) -> None:
    play(driver, "nvmlInitWithFlags 18")
    place = look_for_place(LiveMachine(), Described())
    assert place.cards == ()
    assert any("the driver does not start" in warning for warning in place.warnings)


def test_a_lost_card_is_left_out_and_said(driver: Path) -> None:
    play(driver, "cards 2", "lost_after 0")
    place = look_for_place(LiveMachine(), Described())
    assert place.cards == ()
    assert len([one for one in place.warnings if "is left out" in one]) == 2


def test_hidden_cards_are_hidden_here_too(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(driver, "cards 2")
    assert len(look_for_place(LiveMachine(), Described()).cards) == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    place = look_for_place(LiveMachine(), Described())
    assert [card.name for card in place.cards] == ["CUDA0"]
    assert place.holders == (), "they are on the other card"
    assert "hides 1 of 2 cards" in place.warnings[0]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert look_for_place(LiveMachine(), Described()).cards == ()


def test_a_machine_in_words() -> None:
    place = look_for_place(LiveMachine(), described("RTX 3090", "RTX 3060 8GB", ram_gib=32))
    assert [card.total_bytes // MIB for card in place.cards] == [24_576 - 504, 8192 - 368], (
        "as logs name them"
    )
    assert any("keeps 504 MiB and 368 MiB" in one for one in place.assumptions)
    assert place.main.total_bytes == 32 * GIB
    assert not place.is_this_machine
    assert any("desktop" in one for one in place.assumptions)
    assert any("processor cores" in one for one in place.assumptions)
    assumed = look_for_place(LiveMachine(), Described(gpus=("RTX 3090",)))
    assert any("32 GiB main memory (--ram)" in one for one in assumed.assumptions)


def test_cards_of_other_makers_are_planned_for_their_own_backends() -> None:
    named = ("RX 7900 XTX", "RTX 3060", "RX 9070 XT", "Arc B580")
    place = look_for_place(LiveMachine(), Described(gpus=named))
    assert [card.name for card in place.cards] == ["ROCm0", "CUDA0", "ROCm1", "Vulkan0"]
    assert place.cards[2].free_bytes // MIB == 16_192, "as a log of a card that nothing else used names it"
    assert {one for one in place.assumptions if "is built for" in one} == {
        "The engine is built for ROCm (HIP): with Vulkan it takes some hundred MiB more of an AMD card.",
        "The engine is built for Vulkan.",
    }
    plain = look_for_place(LiveMachine(), Described(gpus=("RTX 3060",)))
    assert not any("is built for" in one for one in plain.assumptions)


def test_more_main_memory_keeps_the_cards(driver: Path) -> None:
    place = look_for_place(LiveMachine(), Described(ram_bytes=256 * GIB))
    assert len(place.cards) == 1
    assert place.main.total_bytes == 256 * GIB


def test_an_unknown_card_is_told_with_near_names() -> None:
    with pytest.raises(BringupError) as caught:
        look_for_place(LiveMachine(), Described(gpus=("RTX 3061",)))
    assert caught.value.exit_code == 2
    assert "NVIDIA GeForce RTX 3060" in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        Described(gpus=("RTX 3090",), cpu_only=True),
        Described(gpus=("RTX 3090",), vram_bytes=(GIB, GIB)),
        Described(gpus=("RTX 3060",), held_bytes=13 * GIB),
        Described(gpus=("RTX 3090",), vram_bytes=(1000,)),
        Described(ram_bytes=0),
    ],
)
def test_a_description_that_cannot_be(wrong: Described) -> None:
    with pytest.raises(WrongUse):
        look_for_place(LiveMachine(), wrong)


def test_each_card_may_have_its_own_memory() -> None:
    both = replace(described("RTX 3090", "RTX 3090"), vram_bytes=(24 * GIB, 20 * GIB))
    sizes = [card.total_bytes // MIB for card in look_for_place(LiveMachine(), both).cards]
    assert sizes == [24_576 - 504, 20_480 - 470]
