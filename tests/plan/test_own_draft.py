"""Drafting with the file's own layers (MTP), against public logs of Qwen 3.6 and 3.8 with 27B."""

from __future__ import annotations

import pytest
from tests.plan.fresh_shapes import FRESH
from tests.plan.models import anatomy, anatomy_of

from bringup.errors import WrongUse
from bringup.plan.companions import Companions, Draft
from bringup.plan.memory import Planner
from bringup.plan.own_draft import own_draft
from bringup.plan.request import Device, DeviceKind, Request
from bringup.units import GIB, MIB

MODEL = anatomy_of(FRESH["Qwen3.6-27B-MTP"])

RUNS = [
    # public-index:67314251052, b9849: two tokens at once, a micro-batch of 2,048
    (Request(n_ctx=8192, n_ubatch=2048, build=9849), 2, "f16", (448.88, 32.0, 520.06, 112.07)),
    # public-index:68288171655, 2026-09: twelve at once, four slots; its last 260.02 MiB could not be had
    (
        Request(n_ctx=196_608, n_parallel=4, cache_type_k="q8_0", is_unified=True, build=11_000),
        12,
        "f16",
        (7780.5, 768.0, 260.02, None),
    ),
    # public-index:57170218850, of May 2026, before states were kept for each token
    (
        Request(n_ctx=131_072, n_parallel=4, is_unified=True, build=9190),
        3,
        "q8_0",
        (598.5, 272.0, 495.0, 276.28),
    ),
    # public-index:71218222695: the joints of its attention are laid out a little smaller than here
    (Request(n_ctx=32_768, build=11_200), 3, "f16", (598.5, 128.0, 130.02, 52.02)),
]


@pytest.mark.parametrize(("request_", "n_max", "cache", "printed"), RUNS)
def test_drafting_layers_are_planned_as_the_engine_printed(
    request_: Request, n_max: int, cache: str, printed: tuple[float | None, ...]
) -> None:
    draft = Draft(own_draft(MODEL), None, cache, cache, n_max, is_own=True)
    devices = (
        Device("CUDA0", DeviceKind.CUDA, 96 * GIB, 96 * GIB),
        Device("CPU", DeviceKind.CPU, 512 * GIB, 512 * GIB),
    )
    plan = Planner(MODEL, devices, companions=Companions(draft)).plan(request_)
    planned = (
        plan.part_bytes("recurrent_state") / MIB,
        plan.part_bytes("draft_kv_cache") / MIB,
        plan.part_bytes("draft_compute", "CUDA0") / MIB,
        plan.part_bytes("draft_compute", "CPU") / MIB,
    )
    for index, (size, real) in enumerate(zip(planned, printed, strict=True)):
        if real is not None:
            assert size == pytest.approx(real, rel=0.11 if index == 2 else 0.0005)
    assert plan.part_bytes("draft_weights", "CUDA0") / MIB == pytest.approx(228, rel=0.01)
    assert not any("not counted here" in note for note in plan.notes)


def test_without_drafting_its_layers_take_nothing_and_a_note_says_so() -> None:
    card = Device("CUDA0", DeviceKind.CUDA, 96 * GIB, 96 * GIB)
    plan = Planner(MODEL, (card, Device("CPU", DeviceKind.CPU, 512 * GIB, 512 * GIB))).plan(Request())
    assert plan.part_bytes("draft_weights") == 0
    assert any("--spec-type draft-mtp counts" in note for note in plan.notes)


def test_a_file_without_such_layers_is_refused() -> None:
    with pytest.raises(WrongUse, match="has no drafting layers"):
        own_draft(anatomy("Llama-3.1-8B"))
