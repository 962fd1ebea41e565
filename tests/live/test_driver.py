"""The sampler over a stand-in of the driver's library, in its real process: healthy, lost, hanging, gone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.doctor.schema import load_schema, problems
from tests.stubs.driver_stub import play

from bringup.actions.live.sample import LiveCard, Sample, Use
from bringup.actions.live.sampler import Sampler
from bringup.faces.render.live import render_sample
from bringup.faces.render.live_json import sample_json
from bringup.machine.live import LiveMachine
from bringup.machine.nvml_watch import NvmlWatch
from bringup.reading import Absent, Known, Unreadable
from bringup.units import KIB, MIB


@pytest.fixture
def driver(built_driver: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(built_driver))
    play(built_driver, "cards 2")
    return built_driver


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    sampler = Sampler(LiveMachine(), subject="this machine", folders=None)
    yield sampler
    sampler.close()


def cards_of(sample: Sample) -> tuple[LiveCard, ...]:
    assert isinstance(sample.cards, Known), sample.cards
    return sample.cards.value


def text_of(sample: Sample, width_columns: int = 100) -> str:
    lines = render_sample(sample, None, width_columns=width_columns)
    return "\n".join("".join(p if isinstance(p, str) else p.text for p in line) for line in lines)


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_cards_are_told_in_full_and_again(driver: Path, sampler: Sampler) -> None:
    play(
        driver, "cards 2", "busy 97", "used_mib 900", f"process {os.getpid()}", "process_mib 614", "reasons 4"
    )
    first, second = cards_of(sampler.look())
    assert first.load.busy_pct == Known(97, "NVML utilisation")
    assert first.load.traffic_out_bytes_per_s == Known(1024 * KIB, "NVML traffic_out_kib")
    assert first.load.link_generation_most == Known(4, "NVML link_generation_most")
    assert [(share.use, share.size_bytes // MIB) for share in first.shares] == [
        (Use.OTHER, 614),
        (Use.UNSEEN, 286),
        (Use.FREE, 11388),
    ]
    assert sum(share.size_bytes for share in first.shares) == 12288 * MIB
    play(driver, "cards 2", "busy 5")
    again = sampler.look()
    assert cards_of(again)[0].load.busy_pct == Known(5, "NVML utilisation")
    assert cards_of(again)[0].card.name == first.card.name
    assert not any(p.cards for p in again.processes if p.process_id == os.getpid())
    assert isinstance(second.card.trouble, Absent)


def test_who_is_on_a_card_is_a_process_of_the_table(driver: Path, sampler: Sampler) -> None:
    play(driver, "cards 1", f"process {os.getpid()}", "process_mib 614")
    sample = sampler.look()
    assert sample.processes[0].process_id == os.getpid()
    assert sample.processes[0].cards == ((0, 614 * MIB),)
    assert "power limit" not in text_of(sample)
    play(driver, "cards 1", "reasons 4")
    assert "held down by power limit" in text_of(sampler.look())


def test_one_of_eight_cards_is_lost_and_the_others_go_on(driver: Path, sampler: Sampler) -> None:
    play(driver, "cards 8", "busy 50")
    assert not any(card.card.is_lost for card in cards_of(sampler.look()))
    play(driver, "cards 8", "busy 60", "lost_card 3")
    sample = sampler.look()
    lost = [card.card.index for card in cards_of(sample) if card.card.is_lost]
    assert lost == [3]
    assert [card.load.busy_pct for card in cards_of(sample) if card.card.index != 3] == [
        Known(60, "NVML utilisation")
    ] * 7
    text = text_of(sample)
    assert text.count("busy 60 %") == 7
    assert "card 3  NVIDIA GeForce RTX 3060 Ti  GPU is lost" in text
    assert problems(sample_json(sample, None), load_schema("top")) == []
    play(driver, "cards 8", "busy 61")
    assert not any(card.card.is_lost for card in cards_of(sampler.look())), "it answers again"


def test_a_card_that_cannot_be_opened_is_told_and_found_later(driver: Path, sampler: Sampler) -> None:
    play(driver, "cards 2", "lost_after 0")
    assert all(card.card.is_lost for card in cards_of(sampler.look()))
    play(driver, "cards 2")
    first, second = cards_of(sampler.look())
    assert isinstance(first.card.name, Known)
    assert isinstance(second.card.compute_capability, Known)


def test_a_driver_that_refuses_is_asked_seldom(driver: Path) -> None:
    play(driver, "nvmlInitWithFlags 18")
    watch = NvmlWatch()
    before = children()
    try:
        answers = [watch.look() for _ in range(50)]
        assert len({id(answer) for answer in answers}) == 1, "within five seconds it is asked once"
        assert children() == before
    finally:
        watch.close()
    sampler = Sampler(LiveMachine(), subject="this machine", folders=None)
    try:
        text = text_of(sampler.look())
        assert "The NVIDIA driver does not answer: Driver/library version mismatch" in text
    finally:
        sampler.close()


def test_a_call_that_hangs_costs_its_patience_and_no_process_stays(driver: Path) -> None:
    play(driver, "cards 2")
    before = children()
    watch = NvmlWatch(patience_s=0.5)
    try:
        assert isinstance(watch.look(), Known)
        play(driver, "cards 2", "nvmlDeviceGetPowerUsage hang")
        started_s = time.monotonic()
        answer = watch.look()
        assert time.monotonic() - started_s < 3
        assert isinstance(answer, Known)
        assert '"hangs_in": "power_mw of card 0"' in answer.value.stdout
        assert children() == before
    finally:
        watch.close()


def test_a_library_that_crashes_costs_its_own_process(driver: Path, sampler: Sampler) -> None:
    sampler.look()
    play(driver, "crash nvmlDeviceGetTemperature")
    sample = sampler.look()
    assert isinstance(sample.cards, Unreadable)
    assert "signal 6" in sample.cards.why
    assert "signal 6" in text_of(sample)


def test_the_asking_process_ends_with_its_reader(driver: Path) -> None:
    before = children()
    watch = NvmlWatch()
    watch.look()
    (started,) = children() - before
    watch.close()
    assert not Path(f"/proc/{started}").exists()


def test_a_machine_without_a_library_is_calm(monkeypatch: pytest.MonkeyPatch, sampler: Sampler) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    before = children()
    sample = sampler.look()
    if not isinstance(sample.cards, Absent):
        pytest.skip("this machine has a driver")
    assert children() == before
    assert "No NVIDIA driver library" in text_of(sample)
    assert problems(sample_json(sample, None), load_schema("top")) == []
