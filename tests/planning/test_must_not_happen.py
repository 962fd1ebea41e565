"""What a plan must never do, one test each; those on slots, bands and the network stand beside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.model.writing import tiny_llama
from tests.planning.made import described, planned

from bringup.actions.planning.report import PlanReport
from bringup.plan.request import Request


def cache_bytes(report: PlanReport) -> int:
    return sum(part.bytes for part in report.parts if part.name.startswith("kv_cache"))


def test_no_total_without_its_parts(gpt_oss: Path) -> None:
    report = planned(gpt_oss, described("RTX 3060"))
    for use in report.uses:
        assert len({part.name for part in use.parts}) >= 4
        assert use.planned_bytes == sum(p.bytes for p in use.parts if p.name != "other_programs")
        assert all(part.formula and part.source for part in use.parts)


def test_no_constant_per_token(gpt_oss: Path) -> None:
    """Half of the layers see a window of 128 tokens only: twice the context is less than twice the cache."""
    card = described("RTX 4090")
    small = cache_bytes(planned(gpt_oss, card, Request(n_ctx=8192, cache_type_k="f16", cache_type_v="f16")))
    large = cache_bytes(planned(gpt_oss, card, Request(n_ctx=16_384, cache_type_k="f16", cache_type_v="f16")))
    assert small < large < 2 * small
    assert large - small == 192 * 1024**2


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(vram_gib=st.floats(0.5, 26), ram_gib=st.floats(0.5, 64), held=st.floats(0, 1))
def test_it_fits_means_that_there_is_room_on_every_device(
    llama: Path, vram_gib: float, ram_gib: float, held: float
) -> None:
    """Also beside other programs and with a margin; what does not fit says so, and where."""
    machine = described(
        "RTX 3090", vram_gib=vram_gib, ram_gib=ram_gib, held_bytes=int(held * vram_gib * 2**30)
    )
    report = planned(llama, machine, Request(n_ctx=8192))
    assert report.fits == all(use.left_bytes >= 0 for use in report.uses)
    assert report.fits == (not report.missing)
    for use in report.uses if report.fits else ():
        assert not use.used_bytes or any(part.name == "margin" and part.bytes > 0 for part in use.parts)
    for rung in report.ladder:
        assert rung.fits == all(use.left_bytes >= 0 for use in rung.uses)


@pytest.mark.parametrize("family", ["llama", "whatx"])
def test_the_users_own_file_is_never_refused(tmp_path: Path, family: str) -> None:
    """Made: a file of a family that nobody knows is planned as far as it can be, and says so."""
    path = tmp_path / "own.gguf"
    path.write_bytes(bytes(tiny_llama().data).replace(b"llama", family.encode()))
    report = planned(path, described("RTX 3060"))
    assert report.fits
    assert report.parts
    assert any("not known here" in warning for warning in report.warnings) == (family != "llama")
