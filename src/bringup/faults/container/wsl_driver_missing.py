"""WSL has no driver from Windows, or a Linux driver stands in its way.

Symptom: on WSL no CUDA device, nvidia-smi cannot reach the driver, or a Linux driver's libraries are found
    beside /usr/lib/wsl/lib.
Reason: in WSL 2 the driver is the one of Windows and its libraries appear in /usr/lib/wsl/lib; no kernel
    module exists inside. A Linux driver installed there shadows them and cannot work. WSL 1 has no GPU at
    all.
Sources: https://docs.nvidia.com/cuda/wsl-user-guide/
    https://github.com/ollama/ollama/issues/1940
    https://github.com/microsoft/WSL/issues/3847
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

_WSL = (
    "/usr/lib/wsl",
    "microsoft-standard",
    "microsoft windows",
    "wsl2",
    "wsl 2",
    "wsl1",
    "/dev/dxg",
    "-microsoft",
)
_TROUBLE = (
    "no cuda-capable device",
    "couldn't communicate",
    "init failure: 9",
    "init failure: 100",
    "nvidia-smi: command not found",
    "gpu access blocked",
    "driver not loaded",
    "modprobe: fatal: module nvidia not found",
    "cuda error 100",
    "function not implemented",
)

SIGNS = (
    Sign(
        r"(?i)GPU access blocked by the operating system",
        anchor="gpu access blocked",
        example="Failed to initialize NVML: GPU access blocked by the operating system",
    ),
    Sign(
        r"(?i)/usr/lib/wsl/lib/\S{1,40}: (?:cannot open|no such file)",
        anchor="/usr/lib/wsl/lib",
        example="/usr/lib/wsl/lib/libcuda.so.1: cannot open shared object file: No such file or directory",
    ),
    Sign(
        r"(?i)3\.4\.0\+ .{0,80}microsoft|linux version \d\.\d\.\d-\d+-microsoft",
        anchor="microsoft",
        example="Linux version 4.4.0-17763-Microsoft (Microsoft@Microsoft.com)",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
)

EXPLAINS = (
    "library-missing",
    "libraries-mixed",
    "no-visible-device",
    "running-on-cpu",
    "driver-not-installed",
)

STEPS = (
    Step(
        "See the kernel: WSL 2 says microsoft-standard-WSL2, WSL 1 a version 4.4.",
        ("uname", "-r"),
        Safety.LOOK,
    ),
    Step("See what Windows passes in.", ("ls", "-l", "/usr/lib/wsl/lib"), Safety.LOOK),
    Step(
        "Remove the Linux driver packages inside WSL (nvidia-driver-*, libnvidia-*, cuda-drivers); the CUDA "
        "toolkit "
        "alone (cuda-toolkit-*) may stay.",
        safety=Safety.DISRUPTIVE,
        needs_root=True,
        touches="packages inside this WSL",
        undo="install them again (they do not work here)",
        verify=("nvidia-smi",),
    ),
    Step(
        "Install or update the NVIDIA driver on Windows, then run wsl --shutdown there and start again.",
        safety=Safety.DISRUPTIVE,
        touches="Windows and all running WSL systems",
        undo="the former driver by Windows' device manager",
        verify=("nvidia-smi",),
    ),
    Step(
        "WSL 1: convert it on Windows with wsl --set-version NAME 2.",
        safety=Safety.DISRUPTIVE,
        touches="this WSL system",
        undo="wsl --set-version NAME 1",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Words of WSL and trouble with the driver; a Linux driver's library is the better evidence."""
    if not scene.lines.has_any(*_WSL) or not scene.lines.has_any(*_TROUBLE):
        return None
    linux = scene.lines.search(
        r"/usr/lib/(?:x86_64-linux-gnu|aarch64-linux-gnu)/lib(?:nvidia-ml|cuda)\.so\.\d{3}",
        anchor="/usr/lib/",
    )
    wsl = next(line for line in scene.lines.lines if any(word in line.text.lower() for word in _WSL))
    line = wsl if linux is None else linux[0]
    return Evidence(
        saw=line.text.strip()[:300],
        expected="only the libraries that Windows passes in below /usr/lib/wsl/lib, on WSL 2",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.SURE,
        strength=10,
    )
