"""What runs beside a model: a drafting model, a projector; and ways to split it that are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.model.writing import STRING, U32, TensorSpec, build
from tests.planning.made import described, file_of, planned

from bringup.actions.planning.companions import Beside
from bringup.actions.planning.report import PlanReport
from bringup.errors import WrongUse
from bringup.machine.folders import our_folders
from bringup.model.quants import TensorType
from bringup.plan.companions import read_projector
from bringup.plan.request import Request
from bringup.store.header import load_model
from bringup.units import MIB

CARD = described("RTX 3090")
KEEPS = Request(n_ctx=8192, n_ubatch=512)


def sizes(report: PlanReport) -> dict[tuple[str, str], int]:
    return {(part.name, part.device): part.bytes for part in report.parts}


def projector(folder: Path, kind: str, **figures: int) -> Path:
    """A projector's header (made): its matrices alone, f16, with a hole for them."""
    width, inner = figures["embedding_length"], figures["feed_forward_length"]
    pairs = [("general.architecture", STRING, "clip"), ("clip.projector_type", STRING, kind)]
    pairs += [(f"clip.vision.{name}", U32, value) for name, value in figures.items()]
    shapes = {"attn_q": (width, width), "ffn_up": (width, inner), "ffn_down": (inner, width)}
    if kind != "gemma3":
        shapes["ffn_gate"] = (width, inner)
    tensors = [
        TensorSpec(f"v.blk.{index}.{name}.weight", shape, TensorType.F16)
        for index in range(figures["block_count"])
        for name, shape in shapes.items()
    ]
    built = build(pairs, tensors, with_weights=False)
    path = folder / "mmproj.gguf"
    path.write_bytes(bytes(built.data))
    os.truncate(path, len(built.data) + sum(tensor.size_bytes for tensor in tensors))
    return path


def siglip(folder: Path) -> Path:
    return projector(
        folder,
        "gemma3",
        embedding_length=1152,
        feed_forward_length=4304,
        block_count=27,
        image_size=896,
        patch_size=14,
    )


def test_a_drafting_model_has_parts_of_its_own(llama: Path, tmp_path: Path) -> None:
    small = file_of(tmp_path, "Qwen3-4B")
    alone = planned(llama, CARD, KEEPS)
    both = planned(
        llama, CARD, KEEPS, beside=Beside(draft=str(small), draft_type_k="q8_0", draft_type_v="q8_0")
    )
    as_model = planned(small, CARD, Request(n_ctx=8192, cache_type_k="q8_0", cache_type_v="q8_0"))
    parts = sizes(both)
    for name in ("weights", "kv_cache"):
        assert parts[f"draft_{name}", "CUDA0"] == sizes(as_model)[name, "CUDA0"], name
        assert parts[name, "CUDA0"] == sizes(alone)[name, "CUDA0"], "the model's own stay"
    assert parts["draft_compute", "CUDA0"] == sizes(as_model)["compute", "CUDA0"]
    assert parts["overhead", "CUDA0"] == sizes(alone)["overhead", "CUDA0"], "one process, one context"
    assert parts["compute", "CUDA0"] >= sizes(alone)["compute", "CUDA0"]
    at = both.command.index("--spec-draft-model")
    assert both.command[at + 1 : at + 4] == (str(small), "--spec-draft-ngl", "999")
    assert both.command[at + 4 : at + 6] == ("--spec-type", "draft-simple"), "else nothing is drafted"
    assert any("without drafting" in warning for warning in both.warnings)


def test_a_drafting_model_can_stay_in_main_memory(llama: Path, tmp_path: Path) -> None:
    small = file_of(tmp_path, "Qwen3-4B")
    parts = sizes(planned(llama, CARD, KEEPS, beside=Beside(draft=str(small), draft_gpu_layers=0)))
    assert ("draft_weights", "CUDA0") not in parts
    assert parts["draft_kv_cache", "CPU"] == 1152 * MIB


def test_a_drafting_model_takes_what_the_model_would_have(llama: Path, tmp_path: Path) -> None:
    """It fits alone, and lets layers go to main memory once something else lies on the card."""
    small = file_of(tmp_path, "Llama-3.1-8B")
    card = described("RTX 3060", vram_gib=6.5)
    alone = planned(llama, card, KEEPS)
    both = planned(llama, card, KEEPS, beside=Beside(draft=str(small), draft_gpu_layers=10))
    assert alone.fits and both.fits
    assert sizes(both)["weights", "CUDA0"] < sizes(alone)["weights", "CUDA0"]
    assert both.uses[0].planned_bytes <= both.uses[0].device.free_bytes


def test_a_projector_lies_on_the_first_card(llama: Path, tmp_path: Path) -> None:
    path = siglip(tmp_path)
    report = planned(llama, CARD, KEEPS, beside=Beside(mmproj=str(path)))
    parts = sizes(report)
    assert parts["projector_weights", "CUDA0"] == 27 * (1152 * 1152 + 2 * 1152 * 4304) * 2
    assert parts["projector_compute", "CUDA0"] == 4 * 64 * 64 * (3 * 1152 + 4304), (
        "121.3 MiB; the engine says 121.2"
    )
    assert report.command[-2:] == ("--mmproj", str(path))
    kept = planned(llama, CARD, KEEPS, beside=Beside(mmproj=str(path), is_mmproj_offloaded=False))
    assert ("projector_weights", "CPU") in sizes(kept)
    assert "--no-mmproj-offload" in kept.command


def test_projectors_for_pictures_of_any_size_lay_out_the_one_that_the_engine_does(
    llama: Path, tmp_path: Path
) -> None:
    path = projector(
        tmp_path,
        "qwen2.5vl_merger",
        embedding_length=1280,
        feed_forward_length=3420,
        block_count=2,
        image_size=560,
        patch_size=14,
    )
    parts = {part.name: part for part in planned(llama, CARD, KEEPS, beside=Beside(mmproj=str(path))).parts}
    assert "8,464 patches" in parts["projector_compute"].formula
    assert "1,288 x 1,288" in parts["projector_compute"].formula


def test_wrong_kinds_are_told(llama: Path, tmp_path: Path) -> None:
    path = siglip(tmp_path)
    for beside in (
        Beside(mmproj=str(llama)),
        Beside(draft=str(path)),
        Beside(mmproj=str(tmp_path / "none.gguf")),
    ):
        with pytest.raises(WrongUse):
            planned(llama, CARD, KEEPS, beside=beside)
    with pytest.raises(WrongUse, match="is a projector") as caught:
        planned(path, CARD)
    assert "--mmproj" in caught.value.hint


TWO = described("RTX 3060", "RTX 3060")


@pytest.mark.parametrize(
    ("mode", "family", "request_"),
    [
        ("row", "Llama-3.1-8B", Request()),
        ("tensor", "Llama-3.1-8B", Request(flash_attention=False)),
        ("tensor", "Llama-3.1-8B", Request(build=8000)),
        ("tensor", "DeepSeek-V2-Lite", Request()),
        ("tensor", "Qwen3-Next-80B", Request()),
    ],
)
def test_splits_that_cannot_be_are_refused_with_the_reason(
    tmp_path: Path, mode: str, family: str, request_: Request
) -> None:
    with pytest.raises(WrongUse, match=f"--split-mode {mode}") as caught:
        planned(file_of(tmp_path, family), TWO, request_, split_mode=mode)
    assert "flash" in caught.value.hint or "--split-mode layer" in caught.value.hint


@pytest.mark.parametrize(("mode", "build"), [("row", 9400), ("tensor", 10_950)])
def test_cards_that_share_matrices_are_planned(llama: Path, mode: str, build: int) -> None:
    report = planned(llama, TWO, Request(n_ctx=8192, build=build), split_mode=mode)
    assert report.fits
    if mode == "row":
        assert report.speed is None and "how fast the cards exchange" in report.no_speed
    else:
        assert report.speed is not None
        assert report.speed.generation_empty.high > 1.8 * report.speed.generation_empty.low
    assert report.command[report.command.index("--split-mode") + 1] == mode
    told = sizes(report)
    assert told["weights", "CUDA0"] == pytest.approx(told["weights", "CUDA1"], rel=1e-4)
    assert told["weights", "CUDA0"] > 1900 * MIB
    assert any(f"--split-mode {mode}, as asked for" in reason for reason in report.reasons)


def test_shares_of_cards_that_differ_follow_their_memory(gpt_oss: Path) -> None:
    two = described("RTX 3060", "RTX 2060")
    report = planned(gpt_oss, two, Request(n_ctx=32_768), split_mode="tensor")
    assert report.fits
    assert report.command[report.command.index("--tensor-split") + 1] == "11886,5793"
    told = sizes(report)
    assert told["weights", "CUDA0"] > 1.7 * told["weights", "CUDA1"]


def test_shares_of_nothing_are_no_shares(llama: Path) -> None:
    """llama.cpp takes a --tensor-split of zeros for none."""
    report = planned(llama, CARD, Request(n_ctx=8192, tensor_split=(0.0,)))
    assert sizes(report)["weights", "CUDA0"] > 4000 * MIB


@pytest.mark.parametrize(
    ("kind", "figures", "more", "printed_mib"),
    [
        ("qwen2.5vl_merger", (1280, 3420, 560, 14), {"n_wa_pattern": 8}, 1999.37 - 1294.58),
        ("pixtral", (1024, 4096, 1540, 14), {"spatial_merge_size": 2}, 904.20 - 839.58),
    ],
)
def test_gated_projectors_come_near_what_the_engine_counts(
    tmp_path: Path, kind: str, figures: tuple[int, int, int, int], more: dict[str, int], printed_mib: float
) -> None:
    """Against `mtmd_get_memory_usage` of b11434 on files of these shapes, run once."""
    width, inner, image, patch = figures
    path = projector(
        tmp_path,
        kind,
        embedding_length=width,
        feed_forward_length=inner,
        block_count=2,
        image_size=image,
        patch_size=patch,
        **more,
    )
    found = read_projector(load_model((str(path),), folders=our_folders()))
    assert found.compute_bytes / MIB == pytest.approx(printed_mib, rel=0.03)
