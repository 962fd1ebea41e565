"""The parts of a memory plan: each share of each device with its formula and where that comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import prod
from typing import Final

from bringup.plan.anatomy import Anatomy
from bringup.plan.builder import F32_BYTES
from bringup.plan.kv_cache import LayerCache, layer_bytes, pad_cells, recurrent_bytes
from bringup.plan.place import Placement
from bringup.plan.plan import Part, Residence
from bringup.plan.request import CPU, NEWEST_BUILD, Device, DeviceKind, Request
from bringup.plan.run import Run
from bringup.plan.sparse import block_mask_elements, stream_elements
from bringup.plan.weights import Sum
from bringup.units import GIB, MIB

TAG: Final = f"llama.cpp b{NEWEST_BUILD}"

PROCESS_BYTES: Final = 192 * MIB
"""Interpreter, libraries and thread stacks of an engine child: 165 MiB of private data measured with
xllamacpp 2026.10 and SmolLM2-135M beyond what the engine's own breakdown prints, rounded up."""

CARD_PROCESS_BYTES: Final = 256 * MIB
"""Main memory of a CUDA process beyond that: libraries' data and the driver's own bookkeeping. Assumed."""

_CONTEXT_BYTES: Final = 55 * MIB
_MULTIPROCESSOR_BYTES: Final = 2.78 * MIB
"""A CUDA context with llama.cpp's kernels: `55 + 2.78 x multiprocessors` MiB. 35 MiB and as much for each are
gone when the engine first looks at an idle card (logs of 2026: RTX 3060 113 MiB, 5060 Ti 137, 4070 169,
3090 263, A40 267, RTX PRO 6000 561), 20 more once its kernels are loaded (RTX 3060 130 to 134 in all)."""

_UNLISTED_CONTEXT_BYTES: Final = 170 * MIB
_UNLISTED_LARGE_CONTEXT_BYTES: Final = 300 * MIB
_LARGE_CARD_BYTES: Final = 20 * GIB
"""Of a card that is not listed only its memory tells how large it is."""

_OTHER_BACKEND_BYTES: Final = 128 * MIB
"""ROCm, Metal: assumed."""

_VULKAN_BYTES: Final = 224 * MIB
"""Of Vulkan: 30 MiB beside the printed buffers once a model is loaded, 190 at a prompt (27B, RTX 3090)."""

_VULKAN_EXPERT_COPIES: Final = 2
"""And with experts twice its largest matrix of them as f16: 1,870 MiB at a prompt for Gemma 4 26B there."""

LEAST_MARGIN_BYTES: Final = 256 * MIB
"""What a card has to have left: kernels that a first long prompt loads took 80 to 95 MiB on RTX PRO 6000 and
5060 Ti, all of them at most 360 (`CUDA_MODULE_LOADING=EAGER`); a run with 206 left ended at such a prompt."""
_MARGIN_SHARE: Final = 36
_LEAST_CHECKPOINT_SPACING_TOKENS: Final = 8192
"""`checkpoint_min_step` in `common/common.h`."""

Q8_1_BYTES_PER_ELEMENT: Final = 36 / 32
"""Activations as CUDA's integer kernels want them (block_q8_1_mmq in `ggml/src/ggml-cuda/mmq.cuh`)."""


def weights(sums: Mapping[str, Sum], *, is_mapped: bool) -> Iterator[Part]:
    """Weights of each device."""
    for device, one in sorted(sums.items(), key=_cpu_last):
        is_file = device == CPU and is_mapped
        yield Part(
            "weights",
            one.bytes,
            device,
            f"sum of {one.n_tensors:,} tensors" + (", mapped from the file" if is_file else ""),
            "the file's tensor table",
            Residence.MAPPED if is_file else Residence.ANONYMOUS,
        )


def caches(anatomy: Anatomy, placement: Placement, run: Run, *, offloads: bool) -> Iterator[Part]:
    """KV cache of full and of sliding layers, and recurrent state, on each device."""
    figures = anatomy.architecture
    sizes: dict[tuple[str, str], int] = defaultdict(int)
    counts: dict[tuple[str, str], int] = defaultdict(int)
    known: dict[LayerCache, int] = {}
    for index, cache in kept_layers(anatomy, run).items():
        cells = (run.swa_cells if cache.is_swa else run.cells) * run.n_stream
        if cache not in known:
            known[cache] = layer_bytes(cache, cells=cells, type_k=run.type_k, type_v=run.type_v)
        key = "kv_cache_swa" if cache.is_swa else "kv_cache", _cache_device(placement, index, offloads)
        sizes[key] += known[cache]
        counts[key] += 1
    for (name, device), size in sizes.items():
        cells = run.swa_cells if name == "kv_cache_swa" else run.cells
        formula = f"{counts[name, device]} layers x {cells:,} cells x {run.n_stream} streams"
        source = f"{TAG}, src/llama-kv-cache{'-iswa' if name == 'kv_cache_swa' else ''}.cpp"
        yield Part(name, size, device, f"{formula}, {run.type_k}/{run.type_v}", source)
    yield from _index_caches(anatomy, placement, run, offloads=offloads)
    yield from _compressed_caches(anatomy, placement, run, offloads=offloads)
    state = figures.recurrent
    if state is None:
        return
    on: dict[str, int] = defaultdict(int)
    for index in range(figures.n_layer):
        if figures.recurrent_layers[index]:
            on[_cache_device(placement, index, offloads)] += 1
    for device, n_layer in on.items():
        n_kept = run.n_seq * (1 + run.n_rollback)
        size = recurrent_bytes(
            n_embd_r=state.n_embd_r, n_embd_s=state.n_embd_s, n_layer=n_layer, n_seq=n_kept
        )
        slots = f"{run.n_seq} slots" + (f" x {1 + run.n_rollback} states" if run.n_rollback else "")
        formula = f"{n_layer} layers x {slots} x ({state.n_embd_r:,} + {state.n_embd_s:,}) x 4"
        if figures.n_embd_history and device == next(iter(on)):
            size += F32_BYTES * figures.n_embd_history * run.n_seq
            formula += f" + {run.n_seq} slots x {figures.n_embd_history:,} x 4"
        yield Part("recurrent_state", size, device, formula, f"{TAG}, src/llama-memory-recurrent.cpp")


def _index_caches(anatomy: Anatomy, placement: Placement, run: Run, *, offloads: bool) -> Iterator[Part]:
    """What the indexers of sparse attention keep: a key of each token, as many cells as the full layers."""
    on: dict[str, list[int]] = defaultdict(list)
    for one in anatomy.architecture.index_layers:
        cache = LayerCache(one.n_embd_k, one.n_embd_v)
        size = layer_bytes(cache, cells=run.cells * run.n_stream, type_k=run.type_k, type_v=run.type_v)
        on[_cache_device(placement, one.index, offloads)].append(size)
    for device, sizes in on.items():
        formula = f"{len(sizes)} indexers x {run.cells:,} cells x {run.n_stream} streams"
        source = f"{TAG}, src/llama-kv-cache-dsa.cpp, src/llama-kv-cache-msa.cpp"
        yield Part("kv_cache_index", sum(sizes), device, f"{formula}, {run.type_k}/{run.type_v}", source)


def _compressed_caches(anatomy: Anatomy, placement: Placement, run: Run, *, offloads: bool) -> Iterator[Part]:
    """A key of each block of tokens, for each slot, and the state of the blocks in the making."""
    source = f"{TAG}, src/llama-kv-cache-dsv4.cpp"
    keys: dict[str, int] = defaultdict(int)
    states: dict[str, int] = defaultdict(int)
    for one in anatomy.architecture.compressed_layers:
        device = _cache_device(placement, one.index, offloads)
        cells = pad_cells(-(-run.n_ctx_seq // one.n_tokens)) * run.n_seq
        keys[device] += layer_bytes(
            LayerCache(one.n_embd_k, 0), cells=cells, type_k=run.type_k, type_v=run.type_v
        )
        states[device] += F32_BYTES * one.n_state * run.n_seq
    for device, size in keys.items():
        formula = f"a key for each block of {run.n_ctx_seq:,} tokens x {run.n_seq} slots, {run.type_k}"
        yield Part("kv_cache_index", size, device, formula, source)
    for device, size in states.items():
        yield Part("recurrent_state", size, device, f"blocks in the making x {run.n_seq} slots", source)


def kept_layers(anatomy: Anatomy, run: Run) -> dict[int, LayerCache]:
    """Widths of the layers with a cache; without the fused kernels all values are as wide as the widest."""
    layers = anatomy.caches
    widest = max((layer.n_embd_v for layer in layers.values()), default=0)
    return {
        index: LayerCache(layer.n_embd_k, layer.n_embd_v if run.flash_attention else widest, layer.is_swa)
        for index, layer in layers.items()
    }


def _cache_device(placement: Placement, index: int, offloads: bool) -> str:
    if not offloads:
        return CPU
    return placement.layers[min(index, len(placement.layers) - 1)]  # one behind them all lies with the last


def compute(sizes: Mapping[str, int], run: Run, *, is_estimated: bool) -> Iterator[Part]:
    """Compute buffers as laid out, or as estimated where the layers are not of a form that is known."""
    formula = f"graph of {run.n_ubatch:,} tokens behind {run.n_ctx_seq:,}, laid out as the allocator does"
    if is_estimated:
        formula = "mask + n_ubatch x (8 n_embd + 3 n_ff) x 4 + logits, an estimate from above"
    for device, size in sizes.items():
        if size:
            yield Part(
                "compute",
                size,
                device,
                formula,
                f"{TAG}, ggml/src/ggml-alloc.c, src/llama-graph.cpp",
            )


def sparse_compute(anatomy: Anatomy, placement: Placement, run: Run, *, is_pipelined: bool) -> Iterator[Part]:
    """What sparse attention and further streams of the residual add where that is not laid out, estimated.

    `4 x n_ubatch x (masks of chosen blocks + streams x n_embd x how many live at once)`, see `sparse`.
    """
    figures = anatomy.architecture
    masks = block_mask_elements(anatomy, run)
    first = placement.cards[0] if placement.cards and run.offloads_ops else CPU
    devices = dict.fromkeys(first if name == CPU else name for name in placement.layers[: figures.n_layer])
    for device in devices:
        is_later = is_pipelined and device != first
        row = masks + stream_elements(anatomy, is_later=is_later)
        if row:
            formula = f"4 x {run.n_ubatch:,} x {row:,} for what is not laid out, an estimate"
            yield Part("compute", F32_BYTES * run.n_ubatch * row, device, formula, f"{TAG}, src/models/")


def output(anatomy: Anatomy, run: Run) -> Part:
    """Logits of one token of each slot, on the host."""
    n_vocab = anatomy.architecture.n_vocab or 0
    return Part(
        "output",
        F32_BYTES * n_vocab * run.n_seq,
        CPU,
        f"4 x {n_vocab:,} words x {run.n_seq} slots",
        f"{TAG}, src/llama-context.cpp, output_reserve",
    )


def context_bytes(card: Device) -> int:
    """What a process costs on a card before it asks for any memory there."""
    if card.kind is not DeviceKind.CUDA:
        return _VULKAN_BYTES if card.kind is DeviceKind.VULKAN else _OTHER_BACKEND_BYTES
    count = _multiprocessors(card.title, card.total_bytes)
    if count:
        return int(_CONTEXT_BYTES + count * _MULTIPROCESSOR_BYTES)
    return _UNLISTED_LARGE_CONTEXT_BYTES if card.total_bytes >= _LARGE_CARD_BYTES else _UNLISTED_CONTEXT_BYTES


@lru_cache(maxsize=64)
def _multiprocessors(title: str, total_bytes: int) -> int:
    """Of a listed card; 0 for any other."""
    if not title:
        return 0
    from bringup.plan.card_names import find_card  # the list is read for cards that there are only

    card = find_card(title, total_bytes) or find_card(title)
    return card.n_multiprocessors if card is not None else 0


def overhead(anatomy: Anatomy, placement: Placement, run: Run, device: Device) -> Part:
    """What a process costs on a device beyond the buffers that the engine prints."""
    if device.name == CPU:
        size = PROCESS_BYTES + (CARD_PROCESS_BYTES if placement.cards else 0)
        return Part("overhead", size, CPU, "a constant", "measured without a card, assumed with one")
    context = context_bytes(device)
    if device.kind is not DeviceKind.CUDA:
        copies = _vulkan_copies(anatomy) if device.kind is DeviceKind.VULKAN else 0
        formula = f"a constant{' + 2 x 2 bytes an element of the largest experts' if copies else ''}"
        return Part("overhead", context + copies, device.name, formula, "assumed, from few runs")
    pool = _pool_bytes(anatomy, placement, run, device.name) + _copies(anatomy, placement, run, device.name)
    return Part(
        "overhead",
        context + pool,
        device.name,
        f"CUDA context {context // MIB} MiB + what its kernels take from a pool {pool // MIB} MiB",
        "measured on eight cards" if _multiprocessors(device.title, device.total_bytes) else "assumed",
    )


def _vulkan_copies(anatomy: Anatomy) -> int:
    """What Vulkan's matrices of experts are unpacked to."""
    tensors = (item for layer in anatomy.layers for item in layer.items())
    elements = (prod(tensor.shape) for suffix, tensor in tensors if "_exps." in suffix)
    return _VULKAN_EXPERT_COPIES * 2 * max(elements, default=0)


def _pool_bytes(anatomy: Anatomy, placement: Placement, run: Run, card: str) -> int:
    """CUDA's pool: the widest input of a matrix on this card, in the form that its kernels want."""
    used = max(1, anatomy.architecture.n_expert_used)
    widest = 0
    for index, layer in enumerate(anatomy.layers[: anatomy.architecture.n_layer]):
        if placement.layers[index] != card:
            continue
        for suffix, tensor in layer.items():
            if len(tensor.shape) > 1:
                rows = used if suffix.startswith("ffn_down_exps") else 1
                widest = max(widest, tensor.shape[0] * rows)
    return int(widest * run.n_ubatch * Q8_1_BYTES_PER_ELEMENT)


def _copies(anatomy: Anatomy, placement: Placement, run: Run, card: str) -> int:
    """What older builds take from the pool to read a cache of another type as f16, a layer at a time."""
    if run.reserves_copies or not run.flash_attention:
        return 0
    widest = 0
    for index, cache in anatomy.caches.items():
        if placement.layers[index] == card:
            width = cache.n_embd_k * (run.type_k != "f16") + cache.n_embd_v * (run.type_v != "f16")
            cells = run.swa_cells if cache.is_swa else run.cells
            widest = max(widest, 2 * width * cells * run.n_stream)
    return widest


def checkpoints(anatomy: Anatomy, run: Run, request: Request) -> Part | None:
    """Copies of what cannot be rolled back (sliding cells, recurrent state), kept in main memory."""
    figures = anatomy.architecture
    state = figures.recurrent
    each = 0
    if state is not None:
        each += recurrent_bytes(
            n_embd_r=state.n_embd_r, n_embd_s=state.n_embd_s, n_layer=state.n_layer, n_seq=1
        )
    if not request.has_full_swa:
        each += sum(
            layer_bytes(
                LayerCache(layer.n_embd_k, layer.n_embd_v, is_swa=True),
                cells=min(figures.n_swa, run.swa_cells),
                type_k=run.type_k,
                type_v=run.type_v,
            )
            for layer in anatomy.caches.values()
            if layer.is_swa
        )
    if not each or not request.n_checkpoints:
        return None
    count = min(request.n_checkpoints, 2 + run.n_ctx_seq // _LEAST_CHECKPOINT_SPACING_TOKENS)
    return Part(
        "checkpoints",
        each * count * run.n_seq,
        CPU,
        f"at most {count} for each of {run.n_seq} slots, {each / MIB:,.1f} MiB each",
        f"{TAG}, tools/server/server-context.cpp, create_checkpoint",
    )


def prompt_cache(left_bytes: int, request: Request) -> Part:
    """The bound of the engine's cache of earlier prompts; ours where the user names none."""
    if request.cache_ram_bytes is not None:
        return Part("prompt_cache", request.cache_ram_bytes, CPU, "as asked for", "--cache-ram")
    size = max(0, min(GIB, left_bytes // 4)) // MIB * MIB
    return Part(
        "prompt_cache",
        size,
        CPU,
        "min(1 GiB, a quarter of what is left)",
        "the engine's --cache-ram, set by us",
    )


def other_programs(device: Device) -> Part:
    """What others hold now."""
    size = max(0, device.total_bytes - device.free_bytes)
    return Part("other_programs", size, device.name, "total - free", "the device, when it was looked at")


def usual_margin_bytes(card: Device) -> int:
    """What of a card is left free where nobody asks for more or less."""
    return max(LEAST_MARGIN_BYTES, min(GIB, card.total_bytes // _MARGIN_SHARE))


def margin(device: Device, request: Request) -> Part:
    """Left free on purpose: for what no formula knows, and for a desktop that grows."""
    if device.name == CPU:
        size, formula = min(GIB, device.free_bytes // 10), "min(1 GiB, a tenth of what is free)"
    elif request.margin_bytes is not None:
        return Part(
            "margin", request.margin_bytes, device.name, "as asked for", "--fit-target", Residence.RESERVED
        )
    else:
        size = usual_margin_bytes(device)
        formula = f"1/{_MARGIN_SHARE} of the card, from 256 MiB to 1 GiB"
    return Part("margin", size, device.name, formula, "our choice", Residence.RESERVED)


def _cpu_last(item: tuple[str, object]) -> tuple[bool, str]:
    return item[0] == CPU, item[0]
