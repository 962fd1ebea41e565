"""The CUDA compiler no longer knows this generation of cards.

Symptom: the build stops with "Unsupported gpu architecture 'compute_61'" (or 50, 52, 60, 70) although nvcc is
    new.
Reason: CUDA 13 dropped Maxwell, Pascal and Volta (before 7.5), CUDA 12 dropped Kepler (before 5.0).
    "Unsupported" means dropped here, so a newer toolkit makes it worse.
Sources: https://docs.nvidia.com/cuda/archive/13.0.0/cuda-toolkit-release-notes/
    https://github.com/ggml-org/llama.cpp/discussions/15396
Limits: for a number from 7.5 on it is the opposite fault, nvcc-too-old-for-gpu.
"""

from __future__ import annotations

from bringup.faults._fault import Evidence, Safety, Step
from bringup.faults._scene import Scene
from bringup.faults.toolkit._architectures import (
    OLDEST_OF_CUDA_13,
    card_beyond_compiler,
    folded,
    refused_architecture,
    shown,
)

EXPLAINS = ("cpu-only-build", "gpu-arch-not-built", "running-on-cpu")

STEPS = (
    Step("See the architectures that this nvcc still knows.", ("nvcc", "--list-gpu-arch"), Safety.LOOK),
    Step(
        "See your card's own architecture: only that one has to be in the list.",
        ("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv"),
        Safety.LOOK,
    ),
    Step(
        "If your card is newer: take the old number out of the list (CMAKE_CUDA_ARCHITECTURES, "
        "NVCC_GENCODE).",
        safety=Safety.SAFE,
        touches="one build option",
        undo="put it back",
    ),
    Step(
        "If it is your card's: install CUDA 12.9 beside the new toolkit and configure with "
        "-DCMAKE_CUDA_COMPILER "
        "pointing to its nvcc (it needs gcc 14 or older), in a new build folder.",
        safety=Safety.SAFE,
        touches="a new folder below /usr/local; the new toolkit stays",
        undo="remove that toolkit's package",
        verify=("nvcc", "--list-gpu-arch"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A compiler refused an architecture, or the first nvcc cannot build for a card that is here."""
    return _by_refusal(scene) or card_beyond_compiler(scene, is_card_newer=False)


def _by_refusal(scene: Scene) -> Evidence | None:
    """A refused architecture below what CUDA 13 starts at was dropped: no nvcc in use is older than it."""
    hit = refused_architecture(scene)
    if hit is None or hit[1] >= OLDEST_OF_CUDA_13:
        return None
    line, architecture = hit
    return Evidence(
        saw=folded(line.text),
        expected=f"an nvcc that still lists compute capability {shown(architecture)}",
        sources=(f"{line.source}, line {line.number}",),
        strength=5,
    )
