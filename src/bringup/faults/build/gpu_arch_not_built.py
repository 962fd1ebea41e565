"""The engine was not compiled for this GPU's architecture.

Symptom: the card is found, yet the first computation ends with "no kernel image is available for execution".
Reason: a CUDA program carries machine code for the architectures that were named when it was built. This
    card's compute capability is not among them, and the code cannot be translated for it either.
Sources: https://github.com/ggml-org/llama.cpp/issues/4215
    https://developer.nvidia.com/cuda-gpus
Limits: "device kernel image is invalid" is another thing: a driver older than the toolkit.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

SIGNS = (
    Sign(
        r"no kernel image is available|cudaErrorNoKernelImageForDevice",
        anchor="kernel",
        example="CUDA error 209: no kernel image is available for execution on the device",
    ),
    Sign(
        r"has no device code compatible with CUDA arch|not compiled for any CUDA arch",
        anchor="cuda arch",
        example="ERROR: CUDA kernel mul_mat_q has no device code compatible with CUDA arch 520.",
    ),
    Sign(
        r"sm_\d{1,10} is not compatible with the current PyTorch",
        anchor="compatible with the current pytorch",
        example="NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the"
        " current PyTorch installation.",
    ),
    Sign(
        r"hipErrorNoBinaryForGpu",
        anchor="hiperrornobinaryforgpu",
        example='"hipErrorNoBinaryForGpu: Unable to find code object for all current devices!"',
    ),
    Sign(
        r"(?:CUDA|ROCm|HIP|hip) error.{0,120}: invalid device function",
        anchor="invalid device function",
        example="ROCm error: invalid device function",
    ),
    Sign(
        r"rocBLAS error: Cannot read .{0,120}TensileLibrary",
        anchor="rocblas error",
        example="rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal"
        " seek for GPU arch : gfx1032",
    ),
    Sign(
        r"(?i)\bGPU is too old\b.{0,40}compute capability",
        anchor="gpu is too old",
        example="[0] CUDA GPU is too old. Compute Capability detected: 3.5",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)compute capability \(?\d\.\d\)?.{0,40}(?:minimum|is too (?:old|low)|not supported|below)",
        anchor="compute capability",
        example="GPU has compute capability 3.5, the minimum is 5.0",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("cuda-kernel-crash", "running-on-cpu")

STEPS = (
    Step(
        "See the card's compute capability.",
        ("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv"),
        safety=Safety.LOOK,
    ),
    Step(
        "Build with this architecture named, for example -DCMAKE_CUDA_ARCHITECTURES=120 for capability"
        " 12.0, in a fresh build folder; or take a release that lists the card.",
        safety=Safety.SAFE,
        touches="the build folder",
        undo="the former build folder, if you keep it",
        verify=("llama-server", "--list-devices"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Compare the cards' capability with the oldest architecture that the build holds."""
    log = need(scene.stack.runtime.log)
    if log is None or not log.cuda_archs or not log.compute_capabilities:
        return None
    oldest, card = min(log.cuda_archs) // 10, min(log.compute_capabilities)
    if card >= oldest:
        return None
    return Evidence(
        saw=f"a card of compute capability {card / 10:.1f}, a build for {oldest / 10:.1f} and newer",
        expected=f"an architecture of at most {card / 10:.1f} in the build",
        sources=("engine log",),
        strength=10,
    )
