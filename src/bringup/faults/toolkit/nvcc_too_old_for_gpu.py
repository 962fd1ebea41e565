"""The CUDA compiler is older than the graphics card.

Symptom: the build stops with "Unsupported gpu architecture 'compute_120'" or another number that is newer
    than nvcc, or nvcc does not know a standard or an option that the build uses.
Reason: each nvcc knows the architectures that existed when it was made. Blackwell (12.0) needs CUDA 12.8 or
    newer, Ada (8.9) 11.8, Ampere (8.6) 11.1; the CUDA version that nvidia-smi shows is the driver's and says
    nothing on nvcc.
Sources: https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
    https://github.com/ggml-org/whisper.cpp/issues/3030
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.toolkit._architectures import (
    OLDEST_OF_CUDA_13,
    card_beyond_compiler,
    folded,
    refused_architecture,
    shown,
)

SIGNS = (
    Sign(
        r"nvcc fatal\s{0,6}: (?:Value 'c\+\+1[47]' is not defined for option 'std'"
        r"|Unknown option '-{0,2}(?:compress-mode|extended-lambda|expt-relaxed-constexpr|forward-unknown))",
        anchor="nvcc fatal",
        example="nvcc fatal   : Unknown option '-compress-mode=size'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"A __device__ variable cannot be marked constexpr",
        anchor="__device__ variable cannot be marked constexpr",
        example="error: A __device__ variable cannot be marked constexpr",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"For CUDA versions < 11\.7 a target CUDA architecture must be explicitly provided",
        anchor="for cuda versions < 11.7",
        example="Makefile:653: *** I ERROR: For CUDA versions < 11.7 a target CUDA architecture must be"
        " explicitly provided via",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("cpu-only-build", "gpu-arch-not-built", "running-on-cpu")

STEPS = (
    Step("See what this nvcc can build for.", ("nvcc", "--list-gpu-arch"), Safety.LOOK),
    Step("See which nvcc comes first and its version.", ("nvcc", "--version"), Safety.LOOK),
    Step(
        "Install a CUDA toolkit that knows the card (12.8 or newer for RTX 50) and put its bin folder first "
        "on PATH, "
        "or give it to CMake as -DCMAKE_CUDA_COMPILER.",
        safety=Safety.SAFE,
        touches="a new folder below /usr/local; the old toolkit stays",
        undo="remove the new toolkit's package",
        verify=("nvcc", "--list-gpu-arch"),
    ),
    Step(
        "Delete the build folder and configure again: CMake keeps the old compiler in its cache.",
        safety=Safety.SAFE,
        touches="the build folder",
        undo="none needed: it is made again by the build",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A compiler refused an architecture, or the first nvcc cannot build for a card that is here."""
    return _by_refusal(scene) or card_beyond_compiler(scene, is_card_newer=True)


def _by_refusal(scene: Scene) -> Evidence | None:
    """A refused architecture that no toolkit has dropped can only be too new for this one."""
    hit = refused_architecture(scene)
    if hit is None or hit[1] < OLDEST_OF_CUDA_13:
        return None
    line, architecture = hit
    return Evidence(
        saw=folded(line.text),
        expected=f"an nvcc that lists compute capability {shown(architecture)}",
        sources=(f"{line.source}, line {line.number}",),
        strength=5,
    )
