"""The driver is older than the CUDA that the program was built with.

Symptom: "CUDA driver version is insufficient for CUDA runtime version" (error 35), "unsupported toolchain"
    (222), "device kernel image is invalid" (200), a symbol such as cuCtxCreate_v3 missing in libcuda.
Reason: a driver runs programs of its own CUDA version and older ones (nvidia-smi shows that version). A newer
    runtime, or code for the card in a newer format, is refused.
Sources: https://docs.nvidia.com/deploy/cuda-compatibility/
    https://github.com/ollama/ollama/issues/5493
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import has_cuda_engine
from bringup.reading import Known

SIGNS = (
    Sign(
        r"(?i)cuda driver version is insufficient for (?:the )?cuda runtime version",
        anchor="driver version is insufficient",
        example="CUDA error: CUDA driver version is insufficient for CUDA runtime version",
        unless=("stubs/libcuda", "wsl"),
    ),
    Sign(
        r"(?i)the provided PTX was compiled with an unsupported toolchain",
        anchor="unsupported toolchain",
        example="CUDA error: the provided PTX was compiled with an unsupported toolchain.",
    ),
    Sign(
        r"(?i)CUDA_ERROR_UNSUPPORTED_PTX_VERSION|cudaErrorUnsupportedPtxVersion|cudaErrorInsufficientDriver",
        anchor="cuda",
        example="CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
    ),
    Sign(
        r"(?i)unsupported \.version \d\.\d; current version is",
        anchor="unsupported .version",
        example="ptxas application ptx input, line 9; fatal   : Unsupported .version 8.5; current version "
        "is '8.3'",
        unless=("ptxas fatal", "ptxas /"),
    ),
    Sign(
        r"(?i)the nvidia driver on your system is too old",
        anchor="driver on your system is too old",
        example="RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
    ),
    Sign(
        r"(?i)device kernel image is invalid",
        anchor="device kernel image is invalid",
        example="CUDA error: device kernel image is invalid",
    ),
    Sign(
        r"undefined symbol: cu[A-Z]\w{2,40}",
        anchor="undefined symbol: cu",
        example="/usr/lib64/libcuda.so.418.74: undefined symbol: cuCtxCreate_v3",
        needs=("libcuda.so",),
    ),
    Sign(
        r"(?i)symbol lookup for cu\w{2,40} failed",
        anchor="symbol lookup for cu",
        example='error="symbol lookup for cuCtxCreate_v3 failed: /usr/lib64/libcuda.so.418.74: undefined '
        'symbol"',
    ),
    Sign(
        r"(?i)unsatisfied condition: cuda ?>= ?\d",
        anchor="unsatisfied condition",
        example="nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.4, please update "
        "your driver",
    ),
    Sign(
        r"(?i)requires? (?:an? )?(?:nvidia )?driver (?:version )?(?:>=|of at least|release) ?\d{3}|"
        r"requires cuda \d{1,10}(?:\.\d{1,10})? (?:or newer )?.{0,40}driver",
        anchor="driver",
        example="ERROR: This container was built for NVIDIA Driver Release 550.54 or later, requires driver "
        "release 550",
        certainty=Certainty.LIKELY,
        unless=("legacy drivers",),
    ),
    Sign(
        r"(?i)this container was built for nvidia driver release \d",
        anchor="was built for nvidia driver release",
        example="ERROR: This container was built for NVIDIA Driver Release 530.30 or later, but",
    ),
    Sign(
        r"(?i)(?:nvidia|cuda) driver (?:is )?too old|driver too old|please (?:update|upgrade) your (?:gpu "
        r"|nvidia )?driver",
        anchor="driver",
        example='msg="CUDA driver is too old" driver=11.4',
        certainty=Certainty.LIKELY,
        unless=("legacy drivers",),
    ),
)

EXPLAINS = (
    "no-visible-device",
    "running-on-cpu",
    "cuda-compat-mismatch",
    "cuda-kernel-crash",
    "gpu-arch-not-built",
)

STEPS = (
    Step("See the driver and the newest CUDA that it runs.", ("nvidia-smi",), Safety.LOOK),
    Step(
        "Take an engine built for the driver's CUDA version or older (a wheel or image of that version).",
        safety=Safety.SAFE,
        touches="the engine only",
        undo="go back to the other engine",
    ),
    Step(
        "Or upgrade the driver to a branch that runs this CUDA (12.x needs 525 or newer, 13.x needs 580), "
        "then reboot.",
        safety=Safety.DISRUPTIVE,
        needs_root=True,
        touches="driver packages; works after a reboot",
        undo="install the former driver version and reboot",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Nothing was built yet, and what this toolkit builds needs a newer major CUDA than the driver runs."""
    runs, nvcc = scene.stack.nvml.cuda_version, scene.stack.toolkit.nvcc
    if not isinstance(runs, Known) or not isinstance(nvcc, Known) or has_cuda_engine(scene):
        return None
    version = nvcc.value.version
    if not isinstance(version, Known) or version.value[0] <= runs.value[0]:
        return None
    toolkit = f"CUDA {version.value[0]}.{version.value[1]}"
    return Evidence(
        saw=f"nvcc is of {toolkit}, the driver runs up to CUDA {runs.value[0]}.{runs.value[1]}",
        expected="a driver that runs the toolkit's major CUDA version",
        sources=(version.source, runs.source),
        certainty=Certainty.LIKELY,
        decides="start a program built with it: error 35 says that the driver is too old",
        strength=3,
    )
