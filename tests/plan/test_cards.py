"""Cards by the names that drivers print and people type."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from bringup.errors import UnknownCard
from bringup.plan import cards
from bringup.plan.card_names import card_named, find_card, near_names
from bringup.plan.cards import Family, all_cards, card_titles
from bringup.units import GIB


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("RTX 3060", "NVIDIA GeForce RTX 3060 12GB"),
        ("3060 12gb", "NVIDIA GeForce RTX 3060 12GB"),
        ("rtx 3060 12 GiB", "NVIDIA GeForce RTX 3060 12GB"),
        ("3060 8gb", "NVIDIA GeForce RTX 3060 8GB"),
        ("NVIDIA GeForce RTX 3080 Ti", "NVIDIA GeForce RTX 3080 Ti"),
        ("3080ti", "NVIDIA GeForce RTX 3080 Ti"),
        ("GA102 [GeForce RTX 3080 Ti]", "NVIDIA GeForce RTX 3080 Ti"),
        ("4090 laptop", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("rtx 3070 mobile", "NVIDIA GeForce RTX 3070 Laptop GPU"),
        ("4070S", "NVIDIA GeForce RTX 4070 SUPER"),
        ("4090 24gb", "NVIDIA GeForce RTX 4090"),
        ("a6000", "NVIDIA RTX A6000"),
        ("rtx 6000 ada", "NVIDIA RTX 6000 Ada Generation"),
        ("RTX PRO 6000", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
        ("T4", "Tesla T4"),
        ("dgx spark", "NVIDIA GB10"),
        ("apple m1", "Apple M1"),
    ],
)
def test_names_as_people_type_them(typed: str, name: str) -> None:
    assert card_named(typed).name == name


@pytest.mark.parametrize("typed", ["", "rtx", "GeForce", "RTX 9090", "gtx 3060", "4090 48gb", "RTX 4075"])
def test_what_is_no_listed_card(typed: str) -> None:
    with pytest.raises(UnknownCard) as caught:
        card_named(typed)
    assert caught.value.exit_code == 2
    assert caught.value.reference == "unknown-card"


def test_an_unknown_card_lists_the_near_ones() -> None:
    with pytest.raises(UnknownCard) as caught:
        card_named("RTX 9090")
    assert "RTX 5090" in caught.value.hint
    assert "--vram" in caught.value.hint
    assert near_names("zzz") == ()


def test_a_name_of_several_cards_lists_them() -> None:
    with pytest.raises(UnknownCard) as caught:
        card_named("A100 80GB")
    assert "NVIDIA A100 80GB PCIe, NVIDIA A100-SXM4-80GB" in caught.value.hint


def test_memory_tells_cards_of_one_name_apart() -> None:
    for total_gib, name in ((12, "12GB"), (7.9, "8GB")):
        card = find_card("NVIDIA GeForce RTX 3060", int(total_gib * GIB))
        assert card is not None
        assert card.name.endswith(name)


def test_a_card_cut_into_parts_keeps_its_name() -> None:
    card = find_card("NVIDIA L40S", 6 * GIB)
    assert card is not None
    assert card.name == "NVIDIA L40S"


def test_every_card_is_found_by_all_its_names() -> None:
    for card in all_cards():
        for name in (card.name, *card.aliases):
            assert find_card(name) == card, name


def test_figures_of_all_cards_can_be() -> None:
    for card in all_cards():
        assert 10e9 < card.bandwidth_bytes_per_s < 10e12, card.name
        assert 0.4e12 < card.flops < 3e15, card.name
        assert card.is_unified or card.memory_bytes >= 2 * GIB, card.name
        assert card.is_unified == (card.link_bytes_per_s == 0), card.name
        assert bool(card.compute_capability) == (card.name.startswith(("NVIDIA", "Tesla", "Quadro"))), (
            card.name
        )


def test_the_quick_look_at_names_sees_what_parsing_sees() -> None:
    parsed = tuple(((card.name, *card.aliases), card.memory_bytes / GIB) for card in all_cards())
    assert card_titles() == parsed


def test_the_file_reads_as_any_reader_of_its_format_has_it() -> None:
    whole = (files("bringup.plan") / "gpus.toml").read_text(encoding="utf-8")
    assert [cards._record(block) for block in cards._blocks()] == tomllib.loads(whole)["card"]


def test_family() -> None:
    card = card_named("4070 laptop")
    assert (card.family, card.compute_capability) == (Family.ADA, "8.9")
    assert card_named("1660 super").family is Family.GTX16
