"""The build asks for the architecture of a card that it cannot see.

Symptom: nvcc refuses an empty architecture or one that is a sentence: 'compute_No CUDA devices found.',
    'compute_'.
Reason: CMAKE_CUDA_ARCHITECTURES=native runs a small program that asks the card. In docker build, in CI or
    without a working driver there is no card to ask, and what the program prints becomes the architecture's
    name.
Sources: https://github.com/ggml-org/llama.cpp/issues/18430
    https://cmake.org/cmake/help/latest/prop_tgt/CUDA_ARCHITECTURES.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"(?i)unsupported gpu architecture 'compute_(?!\d)[^']{0,80}'",
        anchor="unsupported gpu architecture",
        example="nvcc fatal   : Unsupported gpu architecture 'compute_'",
    ),
    Sign(
        r"(?i)unsupported gpu architecture 'compute_native'",
        anchor="compute_native",
        example="nvcc fatal   : Unsupported gpu architecture 'compute_native'",
    ),
    Sign(
        r"(?i)CMAKE_CUDA_ARCHITECTURES.{0,80}native.{0,120}(?:no (?:cuda )?(?:gpu|device)|could "
        r"not|failed|cannot)",
        anchor="native",
        example='CMake Error: CMAKE_CUDA_ARCHITECTURES was set to "native" but no GPU was detected',
    ),
    Sign(
        r"(?i)failed to detect (?:the )?(?:native )?cuda architecture|CUDA_ARCHITECTURES is set to "
        r"\"native\", but no",
        anchor="cuda",
        example='  CUDA_ARCHITECTURES is set to "native", but no NVIDIA GPU was detected.',
    ),
    Sign(
        r"(?i)nvcc fatal.{0,20}unsupported gpu architecture 'sm_'|-gencode.{0,10}arch=compute_(?:,|\s|$)",
        anchor="arch",
        example="nvcc -gencode arch=compute_,code=sm_ -c argmax.cu",
    ),
    Sign(
        r"Cannot find valid GPU for '-arch=native'",
        anchor="cannot find valid gpu for",
        example="nvcc warning : Cannot find valid GPU for '-arch=native', will use default arch",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("nvcc-too-old-for-gpu", "cpu-only-build", "running-on-cpu")

STEPS = (
    Step(
        "See your card's compute capability on the machine that has it (8.6 is written 86).",
        ("nvidia-smi", "--query-gpu=compute_cap", "--format=csv"),
        Safety.LOOK,
    ),
    Step(
        "Name the architecture: -DCMAKE_CUDA_ARCHITECTURES=86 (in llama.cpp's images the build argument is "
        "CUDA_DOCKER_ARCH), and configure in a new build folder.",
        safety=Safety.SAFE,
        touches="one build option",
        undo="take the option out",
    ),
)
