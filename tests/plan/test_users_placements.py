"""Placements that people found by trying, with speeds to show for it, against what the search chooses.

Types of tensors are near those of the files that were run, not always theirs: a layer or two of difference
means no more than that. Where a card also drew a desktop of unknown size, more fits on the one planned here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.plan.fresh_shapes import FRESH
from tests.plan.full_size import Shape
from tests.plan.layer_shapes import Keys, Shapes
from tests.plan.models import anatomy_of

from bringup.actions.planning.devices import look_for_place
from bringup.actions.planning.place import Described
from bringup.actions.planning.speed import given_rates, speed_teller
from bringup.machine.live import LiveMachine
from bringup.model.quants import TensorType
from bringup.plan.memory_plan import MemoryPlan
from bringup.plan.request import Request
from bringup.plan.search import choose
from bringup.units import GIB, MIB

Types = dict[str, TensorType]
DENSE: Types = {
    "attn_output": TensorType.Q4_K,
    "output.weight": TensorType.Q6_K,
    "ffn_down": TensorType.Q5_K,
    "attn_v.": TensorType.Q5_K,
}
IQ3: Types = {"ffn_down_exps": TensorType.IQ3_S, "_exps.": TensorType.IQ2_S}
EXPERTS: Types = {"ffn_down_exps": TensorType.Q5_K, "_exps.": TensorType.Q4_K}


def _large_oss() -> Shape:
    small = FRESH["gpt-oss-20b"]
    keys: Keys = {**small.keys, "expert_count": (small.keys["expert_count"][0], 128)}

    def layer(index: int) -> Shapes:
        rows = small.layer(index).items()
        return {name: tuple(128 if size == 32 else size for size in shape) for name, shape in rows}

    return replace(small, n_layer=36, layer=layer, keys=keys, matrix=TensorType.F16)


@dataclass(frozen=True)
class Found:
    """What somebody found.

    Attributes:
        source: where it stands.
        shape: the model.
        card: its name, by which it is looked up.
        best: layers with experts in main memory; of a dense model, layers on the card.
        nearer: so many more layers on the card than theirs may be chosen, for a stated reason.
        given: what they fixed.
    """

    source: str
    shape: Shape
    card: str
    best: int
    nearer: int
    n_ctx: int
    given: dict[str, Any] = field(default_factory=dict)
    held_mib: int = 0

    @property
    def is_dense(self) -> bool:
        """Whole layers are moved."""
        return "expert_count" not in self.shape.keys

    def choose(self) -> MemoryPlan:
        """What the search makes of it."""
        described = Described(gpus=(self.card,), held_bytes=self.held_mib * MIB, ram_bytes=96 * GIB)
        place = look_for_place(LiveMachine(), described)
        model = anatomy_of(self.shape)
        kept: dict[str, Any] = {"n_ubatch": 512, "cache_type_k": "f16", "cache_type_v": "f16"} | self.given
        request = Request(n_ctx=self.n_ctx, build=10_950, **kept)
        teller = speed_teller(model, place, request, n_prompt=2048, host=given_rates(place, None))
        return choose(model, request, place.devices, teller.judge)


def _typed(name: str, types: Types, matrix: TensorType | None = None) -> Shape:
    shape = replace(FRESH[name], types=types)
    return shape if matrix is None else replace(shape, matrix=matrix)


Q8_Q4 = {"cache_type_k": "q8_0", "cache_type_v": "q4_0", "n_ubatch": 1024}
LLMFIT = "github.com/AlexsJones/llmfit/pull"
FOUND = [
    # One of 12 GiB, Linux: 34 of 40 with a GiB to spare (26.5 tokens/s); 15 whole layers: 12.1.
    Found("public-index:61644439781", _typed("Qwen3.6-35B-A3B", EXPERTS), "RTX 3060", 34, 3, 262_144),
    # A laptop's 6,031 MiB: 36 and 37 alike, 34 and 32 end in cudaMalloc failing.
    Found(
        "public-index:70931924804", _typed("Qwen3.6-35B-A3B", IQ3), "RTX 3060 Laptop", 36, 1, 200_000, Q8_Q4
    ),
    # 8 GB: 33 best (33 to 35 tokens/s), 31 to 35 tried, whole layers at best 25.
    Found(
        "public-index:60240133342", _typed("Qwen3-30B-A3B", EXPERTS, TensorType.Q4_K), "RTX 4060", 33, 2, 8192
    ),
    Found(f"{LLMFIT}/775", FRESH["gpt-oss-20b"], "RTX 2080", 12, 2, 4096),
    Found(
        f"{LLMFIT}/774",
        _typed("gemma-3-12b", DENSE | {"token_embd": TensorType.Q6_K}, TensorType.Q4_K),
        "RTX 2080",
        44,
        1,
        4096,
    ),
    Found(f"{LLMFIT}/774", _typed("Qwen3-14B", DENSE, TensorType.Q4_K), "RTX 2080", 32, 1, 4096),
    Found(f"{LLMFIT}/774", _typed("Phi-4", DENSE, TensorType.Q4_K), "RTX 2080", 32, 1, 4096),
    # llama-bench: 25, 26 and 26 with micro-batches of 256, 512 and 4096, all at 32 to 33 tokens/s.
    Found("ai-maestro.online, 12 May 2026", _large_oss(), "RTX 3090", 26, 1, 4224, {"n_ubatch": 4096}),
]


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.shape.family} {found.card}")
def test_the_search_chooses_as_well_as_people_did(found: Found) -> None:
    plan = found.choose()
    assert plan.fits
    on_card = plan.n_gpu_layers
    if found.is_dense:
        print(f"{found.source}: {on_card}, theirs {found.best}")
        assert abs(on_card - found.best) <= found.nearer
        return
    chosen = plan.request.n_cpu_moe or 0
    print(f"{found.source}: {chosen}, theirs {found.best}")
    assert on_card >= found.shape.n_layer, "all but experts on the card, as they have it"
    assert found.best - found.nearer <= chosen <= found.best
