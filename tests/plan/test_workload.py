"""What a token costs, worked out of real tensors and of the published shapes that the benchmark uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.speed_rows import case_of
from tests.model.writing import mapped
from tests.plan.shared_data import shared_path

from bringup.errors import CannotTell
from bringup.model.gguf import read_header
from bringup.model.shards import assemble
from bringup.plan.anatomy import Anatomy, take_apart
from bringup.plan.place import Placement, place_layers
from bringup.plan.rates import HostRates, speed_devices
from bringup.plan.request import Device, DeviceKind, Request
from bringup.plan.run import make_run
from bringup.plan.work import DeviceWork, Role
from bringup.plan.workload import works_of
from bringup.units import GIB

CARD = Device("CUDA0", DeviceKind.CUDA, 12 * GIB, 11 * GIB, "NVIDIA GeForce RTX 3060")
DEVICES = speed_devices((CARD,), HostRates())
ROW = {
    "gpu": "NVIDIA GeForce RTX 3060 12GB",
    "n_gpu": 1,
    "params_b": None,
    "test": "tg128",
    "tokens_per_s": 1.0,
    "flash_attn": True,
    "n_ubatch": 512,
    "backend": "CUDA",
    "build": "b9000",
    "date": "2026-01",
    "source": "made",
}


def read(path: Path) -> Anatomy:
    return take_apart(assemble((read_header(mapped(path)),)))


@pytest.fixture(scope="module")
def gpt_oss(tmp_path_factory: pytest.TempPathFactory) -> Anatomy:
    """A gpt-oss-20b of full size without weights."""
    path = tmp_path_factory.mktemp("skeleton") / "gpt-oss-20b.gguf"
    program = shared_path("tools/skeletons.py")
    subprocess.run([sys.executable, program, "gpt-oss-20b", path], check=True, timeout=60)
    return read(path)


def works(anatomy: Anatomy, *, n_gpu_layers: int = -1, n_cpu_moe: int = 0) -> tuple[DeviceWork, ...]:
    figures = anatomy.architecture
    layers, output = place_layers(figures.n_layer, n_gpu_layers=n_gpu_layers, cards=["CUDA0"], shares=[1])
    placement = Placement(layers, output, n_cpu_moe=n_cpu_moe, cards=("CUDA0",))
    run = make_run(Request(), n_ctx=8192, n_swa=figures.n_swa, flash_attention=True)
    return works_of(anatomy, placement, run, DEVICES)


@pytest.mark.parametrize(("n_gpu_layers", "n_cpu_moe"), [(-1, 0), (-1, 12), (10, 0), (0, 0)])
def test_tensors_and_published_shape_give_the_same_work(
    gpt_oss: Anatomy, n_gpu_layers: int, n_cpu_moe: int
) -> None:
    row = ROW | {"model": "gpt-oss 20B", "quant": "MXFP4", "size_gib": 11.27}
    row |= {"n_gpu_layers": 99 if n_gpu_layers < 0 else n_gpu_layers, "n_cpu_moe": n_cpu_moe or None}
    case = case_of(row)
    assert case is not None
    found = works(gpt_oss, n_gpu_layers=n_gpu_layers, n_cpu_moe=n_cpu_moe)
    assert [work.device.name for work in found] == [work.device.name for work in case.works]
    for mine, theirs in zip(found, case.works, strict=True):
        for role in Role:
            for figure in ("read_bytes", "total_bytes", "active_parameters"):
                of_tensors, of_shape = (
                    sum(getattr(part, figure) for part in work.matrices if part.role is role)
                    for work in (mine, theirs)
                )
                assert of_tensors == pytest.approx(of_shape, rel=0.05), (figure, role)
        assert mine.n_layer == theirs.n_layer
        assert mine.n_layer_experts == theirs.n_layer_experts
        depths = [sum(part.cache_bytes_per_token for part in work.attention) for work in (mine, theirs)]
        assert depths[0] == pytest.approx(depths[1])
        assert {part.head_size for part in mine.attention} == {part.head_size for part in theirs.attention}


def test_the_small_model_by_hand(small_model: Path) -> None:
    """30 layers of 576 x (2 x 576 + 2 x 192 + 3 x 1536) weights and a tied output of 49,152 x 576."""
    anatomy = read(small_model)
    (work,) = works(anatomy)
    elements = 30 * 576 * (2 * 576 + 2 * 192 + 3 * 1536) + 49_152 * 576
    assert sum(part.active_parameters for part in work.matrices) == elements
    assert work.n_layer == 31
    assert work.attention[0].cache_bytes_per_token == 30 * (192 + 192) * 2
    assert work.attention[0].flops_per_token == 30 * 4 * 576


def test_a_cache_in_main_memory_is_read_from_there(small_model: Path) -> None:
    anatomy = read(small_model)
    layers, output = place_layers(30, n_gpu_layers=-1, cards=["CUDA0"], shares=[1])
    placement = Placement(layers, output, cards=("CUDA0",))
    run = make_run(Request(), n_ctx=8192, n_swa=0, flash_attention=True)
    card, host = works_of(anatomy, placement, run, DEVICES, offloads_cache=False)
    assert card.attention == ()
    assert host.attention == works_of(anatomy, placement, run, DEVICES)[0].attention
    assert host.matrices == ()
    assert host.keeps_attention


def test_a_card_without_layers_is_there_for_large_batches(small_model: Path) -> None:
    anatomy = read(small_model)
    card, host = works(anatomy, n_gpu_layers=0)
    assert card.is_idle and not host.is_idle
    assert host.n_layer == 31


def test_an_unlisted_card_is_not_guessed(small_model: Path) -> None:
    anatomy = read(small_model)
    layers, output = place_layers(30, n_gpu_layers=-1, cards=["CUDA0"], shares=[1])
    run = make_run(Request(), n_ctx=8192, n_swa=0, flash_attention=True)
    strange = Device("CUDA0", DeviceKind.CUDA, 12 * GIB, 11 * GIB, "NVIDIA GeForce RTX 9999")
    with pytest.raises(CannotTell) as caught:
        works_of(
            anatomy,
            Placement(layers, output, cards=("CUDA0",)),
            run,
            speed_devices((strange,), HostRates()),
        )
    assert caught.value.reference == "speed-unknown"
    assert "CUDA0" in caught.value.message
