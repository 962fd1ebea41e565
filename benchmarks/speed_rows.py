"""Measured speeds as work on devices."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass, replace
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from speed_shapes import NAMES, SHAPES, Shape

from bringup.plan.card_names import find_card
from bringup.plan.cards import Family
from bringup.plan.rates import MEASURED_SHARE
from bringup.plan.work import (
    Age,
    Attention,
    Backend,
    DeviceWork,
    Kind,
    Matrices,
    Role,
    RunTraits,
    SpeedDevice,
)

GIB = 2**30


# Kind of the matrices and bits a weight, where the row does not say the size of the file.
QUANTS = (
    (r"MXFP4", Kind.MXFP4, 4.25),
    (r"BF16", Kind.BF16, 16.0),
    (r"F16", Kind.F16, 16.0),
    (r"Q8", Kind.Q8, 8.5),
    (r"Q6_K", Kind.Q6, 6.56),
    (r"Q5_K", Kind.Q5, 5.7),
    (r"Q5_", Kind.Q5, 5.6),
    (r"^Q4_0$|^Q4$", Kind.Q4_0, 4.6),
    (r"IQ4", Kind.IQ4, 4.4),
    (r"IQ3", Kind.IQ, 3.3),
    (r"IQ2", Kind.IQ, 2.5),
    (r"Q4_K|Q4", Kind.Q4, 4.9),
    (r"Q3_K", Kind.Q3, 3.6),
    (r"Q2_K", Kind.Q2, 2.9),
)

CPU_FLOPS = {"Apple M2 Max": 0.9e12, "Ryzen AI Max": 2.3e12, "258V": 0.6e12}
CPU_BANDWIDTH = {"Apple M2 Max": 400e9, "Ryzen AI Max": 160e9, "258V": 136.5e9}
"""As the memory's sheet says; of a Ryzen AI Max, what its two dies' links let through (128 GB/s measured)."""
BACKENDS = {"CUDA": Backend.CUDA, "ROCm": Backend.ROCM, "Vulkan": Backend.VULKAN, "Metal": Backend.METAL}
BACKENDS |= {"MTL,BLAS": Backend.METAL, "SYCL": Backend.SYCL, "CPU": Backend.CPU}
TEST = re.compile(r"(pp|tg|gen)(\d*)(?:@d(\d+))?")


@dataclass(frozen=True)
class Case:
    """One measured row, ready to be predicted."""

    row: dict[str, Any]
    works: tuple[DeviceWork, ...]
    run: RunTraits
    is_prompt: bool
    n_tokens: int
    depth_tokens: int
    is_moe: bool
    is_partial: bool
    measured: float
    shape: str

    @property
    def series(self) -> str:
        """Rows of one source about one card and one model belong together."""
        row = self.row
        return "|".join(str(row[key]) for key in ("source", "gpu", "n_gpu", "model", "quant"))

    @property
    def group(self) -> str:
        """What the report sums over."""
        kind = "MoE" if self.is_moe else "dense"
        where = (
            "shared"
            if self.run.n_embd_exchanged
            else "partial"
            if self.is_partial
            else "CPU"
            if self.works[0].device.name == "CPU"
            else "full"
        )
        phase = "prompt" if self.is_prompt else "generation"
        is_repeated = self.is_moe and self.is_prompt and _is_repeated(self.row)
        return f"{kind}, {where}, {phase}{' (repeats)' if is_repeated else ''}"

    @property
    def is_calibration(self) -> bool:
        """The rule: series whose SHA-256 begins with a byte that four divides judge, the others calibrate.

        Rows that we looked up ourselves (`speed_more.jsonl`) never judge.
        """
        return self.is_own or self.fold(4) != 0

    @property
    def is_own(self) -> bool:
        """A row of `speed_more.jsonl`."""
        return self.row["id"].startswith("more-")

    def fold(self, count: int) -> int:
        """One of `count` parts that the series falls into."""
        return hashlib.sha256(self.series.encode()).digest()[0] % count


REPEATED_PROMPTS = ("/filled_kv_decode.csv",)
"""Sources that say that their prompts repeat themselves: such text chooses few experts, and is read fast."""


def _is_repeated(row: dict[str, Any]) -> bool:
    return bool(row["source"].endswith(REPEATED_PROMPTS))


NOTES = {
    "few threads": "fewer threads than cores",
    "without tensor-core kernels": "a build made for cards without matrix units",
    "paging": "the model did not fit main memory",
}


def why_left_out(row: dict[str, Any]) -> str:
    """Why a row can neither calibrate nor judge; empty when it can."""
    quality = row.get("quality") or ""
    if quality.startswith("suspect"):
        return "marked suspect by the collection"
    if quality and "llama-server" not in quality:
        return "weak row: rounded, end to end, or another program's figure"
    if "split" in (row.get("split_mode") or "") or row.get("split_mode") in ("row", "graph"):
        return "split by rows"
    by_note = (why for words, why in NOTES.items() if words in (row.get("note") or ""))
    return next(by_note, "") or _what_is_unknown(row)


def _what_is_unknown(row: dict[str, Any]) -> str:
    """What the row, or the tables here, do not say."""
    if "not named" in row["model"] or "not named" in row["gpu"]:
        return "model or processor not named"
    if row["quant"] is None:
        return "quantisation not named"
    if not any(re.search(pattern, row["quant"]) for pattern, _, _ in QUANTS):
        return "quantisation not in the table"
    if row["backend"] not in BACKENDS:
        return "backend not stated"
    if row["backend"] != "CPU" and find_card(row["gpu"]) is None:
        return "card not listed"
    return ""


def case_of(row: dict[str, Any]) -> Case | None:
    """A row as work on devices; `None` where its model's shape is not in the table."""
    key = next((key for pattern, key in NAMES if re.search(pattern, row["model"])), None)
    test = TEST.fullmatch(row["test"])
    if key is None or test is None:
        return None
    shape = SHAPES[key]
    name, number, deep = test.groups()
    is_prompt = name == "pp"
    n_tokens = int(number or 128)
    cpu_layers = row["n_cpu_moe"] or row.get("n_layers_experts_cpu") or 0
    ngl = row["n_gpu_layers"]
    cpu_full = 0
    if ngl is not None and 0 <= ngl <= shape.n_layer:
        cpu_full = shape.n_layer + 1 - ngl
    works = works_of(row, shape, cpu_experts=min(cpu_layers, shape.n_layer), cpu_full=cpu_full)
    is_cpu = row["backend"] == "CPU"
    is_shared = row.get("split_mode") == "tensor"
    if is_shared:  # each card starts the kernels of all layers
        works = tuple(replace(work, n_layer=shape.n_layer + 1) for work in works)
    return Case(
        row=row,
        works=works,
        run=RunTraits(
            n_ubatch=row["n_ubatch"] or 512,
            is_flash=_is_flash(row),
            age=_age(_build(row), row["backend"]),
            n_batch=row.get("n_batch") or 2048,
            is_mapped=row.get("mmap") is not False,
            has_native_mxfp4=_build(row) >= NATIVE_MXFP4_BUILD,
            repacks=_build(row) >= REPACKING_BUILD,
            fuses_deltas=_build(row) >= FUSED_DELTA_BUILD,
            multiplies_states=_build(row) >= MULTIPLIED_STATE_BUILD,
            is_repetitive=_is_repeated(row),
            n_embd_exchanged=shape.n_embd if is_shared else 0,
        ),
        is_prompt=is_prompt,
        n_tokens=n_tokens,
        depth_tokens=int(deep or 0) + (0 if is_prompt else n_tokens // 2),
        is_moe=bool(shape.experts[0]),
        is_partial=not is_cpu and bool(cpu_layers or cpu_full),
        measured=row["tokens_per_s"],
        shape=key,
    )


NATIVE_MXFP4_BUILD = 7540
"""Of December 2025: MXFP4 goes to Blackwell's matrix units as it is."""
COOPERATIVE_MATRICES_BUILD = 4500
"""Of January 2025: Vulkan uses the matrix units of most cards."""
REPACKING_BUILD = 4160
"""Of November 2024: Q4_0 is stored anew for processors when it is loaded."""
FUSED_DELTA_BUILD = 8600
"""Of April 2026: delta nets are one kernel for each layer, of March they are many small ones."""
MULTIPLIED_STATE_BUILD = 9200
"""Of May 2026: prompts of Mamba-2 are read by matrix products on CUDA (llama.cpp pull request 22675)."""


def _build(row: dict[str, Any]) -> int:
    text = row["build"] or ""
    if text.startswith("b") and text[1:].isdigit():
        return int(text[1:])
    date = row["date"] or "2026-09"
    if "2024-07" <= date < "2024-12":
        return 4000
    recent = 7100 if date < "2026" else 8000 if date < "2026-04" else 9200
    return 2800 if date < "2024-07" else 6000 if date < "2025-11" else recent


def _age(build: int, backend: str) -> Age:
    if backend == "Vulkan" and build < COOPERATIVE_MATRICES_BUILD:
        return Age.OLD
    return Age.OLD if build < 3200 else Age.MID if build < 7000 else Age.LATE if build < 7600 else Age.NEW


def _is_flash(row: dict[str, Any]) -> bool:
    if row["flash_attn"] is not None:
        return bool(row["flash_attn"])
    return _build(row) >= 6300  # `auto` since then


@dataclass(frozen=True)
class Weights:
    """What a row's file holds: (kind, parameters, bytes) of layers, output matrix and experts."""

    layers: tuple[tuple[Kind, float, float], ...]
    output: tuple[tuple[Kind, float, float], ...]
    experts: tuple[tuple[Kind, float, float], ...]


def weights_of(row: dict[str, Any], shape: Shape) -> Weights:
    """Split the file's size over its matrices."""
    kind, bits = next((k, b) for pattern, k, b in QUANTS if re.search(pattern, row["quant"]))
    layers_x, every, _, width, matrices = shape.experts
    experts = layers_x * every * matrices * shape.n_embd * width
    embedding = shape.n_vocab * shape.n_embd
    total = (row["params_b"] or shape.params_b) * 1e9
    unread = (0 if shape.tied else embedding) + shape.unread_b * 1e9
    dense = max(total - experts - unread, 0.0)
    size = row["size_gib"] * GIB if row["size_gib"] else total * bits / 8
    output = min(embedding, dense)
    if "MXFP4" in row["quant"]:
        expert_bytes = experts * 4.25 / 8
        dense_bits = 8 * max(size - expert_bytes, dense) / (dense + unread)
        dense_kind = Kind.F16 if "F16" in row["quant"] or "Q8_K" in row["quant"] else Kind.Q8
        dense_kind = Kind.BF16 if "BF16" in row["quant"] else dense_kind
        return Weights(
            ((dense_kind, dense - output, (dense - output) * dense_bits / 8),),
            ((dense_kind, output, output * dense_bits / 8),),
            ((Kind.MXFP4, experts, expert_bytes),),
        )
    bits = 8 * size / total
    if experts and (row["quant"].startswith("UD") or kind is Kind.IQ):
        # Mixtures of this sort spend their bits where every token reads them: Q8_0 beside the experts.
        expert_bits = max(8 * size - (total - experts) * Q8_BITS, 0.5 * bits * experts) / experts
        return Weights(
            _mixed(Kind.Q8, dense - output, Q8_BITS),
            _mixed(Kind.Q6, output, 6.5625),
            _mixed(kind, experts, expert_bits),
        )
    return Weights(
        _mixed(kind, dense - output, bits), _mixed(kind, output, bits), _mixed(kind, experts, bits)
    )


Q8_BITS = 8.5
_SOLE_BITS = {Kind.Q4: 4.5, Kind.Q5: 5.5}


def _mixed(kind: Kind, parameters: float, bits: float) -> tuple[tuple[Kind, float, float], ...]:
    """Q4_K_M and Q5_K_M store some matrices as Q6_K, UD-Q8_K_XL as BF16; the size tells how many."""
    if kind is Kind.Q8 and bits > Q8_BITS:
        of_sixteen = min((bits - Q8_BITS) / (16.0 - Q8_BITS), 1.0)
        of_eight = parameters * (1 - of_sixteen)
        wide = parameters - of_eight
        return ((kind, of_eight, of_eight * Q8_BITS / 8), (Kind.BF16, wide, wide * 2))
    sole = _SOLE_BITS.get(kind, bits)
    of_six = min(max((bits - sole) / (6.5625 - sole), 0.0), 1.0) if kind in _SOLE_BITS else 0.0
    total_bytes = parameters * bits / 8
    six_bytes = parameters * of_six * 6.5625 / 8
    rest = (kind, parameters * (1 - of_six), total_bytes - six_bytes)
    return (rest, (Kind.Q6, parameters * of_six, six_bytes)) if of_six else (rest,)


def works_of(row: dict[str, Any], shape: Shape, *, cpu_experts: int, cpu_full: int) -> tuple[DeviceWork, ...]:
    """The work of each device: cards share the layers evenly.

    The output matrix goes with the cards, but where all `n_layer + 1` of `cpu_full` are in main memory.
    """
    weights = weights_of(row, shape)
    edges = edges_of(weights, shape)
    layers_x = shape.experts[0]
    devices = devices_of(row)
    cards = [device for device in devices if device.family is not Family.CPU]
    off = min(1.0, cpu_full / shape.n_layer) if cards else 1.0
    off_experts = min(1.0, max(cpu_experts, cpu_full) / layers_x) if layers_x and cards else off
    output = 0.0 if cpu_full > shape.n_layer or not cards else 1.0
    whole = len(cards) or 1
    held = [(card, Held((1 - off) / whole, (1 - off_experts) / whole, output / whole)) for card in cards]
    if off > 0 or off_experts > 0:
        host = next(device for device in devices if device.family is Family.CPU)
        held.append((host, Held(off, off_experts, 1.0 - output)))
    return tuple(_work(row, shape, (weights, edges), device, part) for device, part in held)


def edges_of(weights: Weights, shape: Shape) -> tuple[float, float, float]:
    """Widths of all matrices, in and out: of the layers, the output, the experts.

    What is not attention, nor experts, is taken for a gated feed-forward part.
    """
    e = shape.n_embd
    attention = shape.n_attn * (4 * e + 2 * shape.q + shape.kv)
    parameters = sum(part for _, part, _ in weights.layers)
    rest = max(parameters - shape.n_attn * e * (2 * shape.q + shape.kv), 0.0)
    layers_x, every, _, width, matrices = shape.experts
    return (
        attention + 3 * shape.n_layer * e + rest / e,
        e + shape.n_vocab,
        layers_x * every * matrices * (e + width),
    )


ROLES = (Role.LAYER, Role.OUTPUT, Role.EXPERT)
"""Of the three parts of `Weights`."""


@dataclass(frozen=True)
class Held:
    """Which shares of the layers, the experts and the output matrix a device has."""

    layers: float
    experts: float
    output: float


def _work(
    row: dict[str, Any],
    shape: Shape,
    stored: tuple[Weights, tuple[float, float, float]],
    device: SpeedDevice,
    held: Held,
) -> DeviceWork:
    _, every, used, _, _ = shape.experts
    share = used / every if every else 1.0
    weights, edges = stored
    is_scanned = "emotron" in row["model"]  # each of its layers does one thing: attention, Mamba, or experts
    parts = []
    for place, (part, matrices) in enumerate(
        ((held.layers, weights.layers), (held.output, weights.output), (held.experts, weights.experts))
    ):
        whole = sum(parameters for _, parameters, _ in matrices) or 1.0
        for kind, parameters, size in matrices:
            used = share if place == 2 else 1.0
            edge = edges[place] * part * parameters / whole * used
            parts.append(
                Matrices(
                    kind, ROLES[place], size * part, size * part * used, parameters * part * used, used, edge
                )
            )
    return DeviceWork(
        device,
        tuple(part for part in parts if part.total_bytes),
        _attention(shape, row, held.layers) if held.layers else (),
        held.layers * shape.n_layer * (0.5 if is_scanned else 1.0) + held.output,
        held.experts * shape.experts[0],
        held.layers * shape.state[0],
        held.layers * shape.state[0] * shape.state[1] * 4,
        is_scanned=is_scanned,
    )


def _attention(shape: Shape, row: dict[str, Any], part: float) -> tuple[Attention, ...]:
    n_swa, window, kv_swa = shape.swa
    element = 1.0625 if (row.get("type_k") or "f16") == "q8_0" else 2.0
    full = shape.n_attn - n_swa
    found = [Attention(part * full * shape.kv * element, part * full * 4 * shape.q, head_size=shape.head)]
    if n_swa:
        found.append(
            Attention(
                part * n_swa * kv_swa * element,
                part * n_swa * 4 * shape.q,
                window,
                shape.head_swa or shape.head,
            )
        )
    return tuple(found)


def devices_of(row: dict[str, Any]) -> tuple[SpeedDevice, ...]:
    """The cards of a row, and its CPU where its memory is told or assumed."""
    host = SpeedDevice("CPU", Family.CPU, Backend.CPU, _ram_bandwidth(row), _cpu_flops(row))
    if row["backend"] == "CPU":
        return (host,)
    card = find_card(row["gpu"])
    assert card is not None, row["gpu"]
    one = SpeedDevice(
        "CUDA0",
        card.family,
        BACKENDS[row["backend"]],
        card.bandwidth_bytes_per_s,
        card.flops,
        min(card.link_bytes_per_s, _slot_rate(row)),
        card=card.name,
        watts=card.watts,
    )
    return (*([one] * row["n_gpu"]), host)


def _slot_rate(row: dict[str, Any]) -> float:
    """What the board's slot carries: two cards share the 16 lanes of PCIe 3.0 that an i5-9600K has."""
    return 7.9e9 if "i5-9600K" in (row.get("cpu") or "") else 1e12


def _cpu_flops(row: dict[str, Any]) -> float:
    if "cpu_gflops" in row:
        return row["cpu_gflops"] * 1e9
    return next((rate for name, rate in CPU_FLOPS.items() if name in row["gpu"]), 1.0e12)


def _ram_bandwidth(row: dict[str, Any]) -> float:
    if "ram_gb_s" in row:
        return row["ram_gb_s"] * 1e9
    found = next((rate for name, rate in CPU_BANDWIDTH.items() if name in row["gpu"]), None)
    if found:
        return found
    text = row.get("ram") or ""
    measured = re.search(r"\(([\d.]+) GB/s measured", text)
    if measured:
        return float(measured[1]) * 1e9 / MEASURED_SHARE
    speed = re.search(r"DDR\d-(\d{4})", text)
    if speed:
        return int(speed[1]) * 16e6
    return 51.2e9 if "DDR4" in text else 83.2e9  # two channels of DDR4-3200, DDR5-5200
