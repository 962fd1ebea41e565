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

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import cuda_starts, libraries
from bringup.reading import Absent, Known
from bringup.stack.container import Wsl
from bringup.stack.told import Told

_WSL = (
    "/usr/lib/wsl", "/lib/modules/3.4.0+", "microsoft-standard", "microsoft windows", "wsl2", "wsl 2", "wsl1",
    "/dev/dxg", "-microsoft",
)  # fmt: skip
_TROUBLE = (
    "no cuda-capable device", "couldn't communicate", "init failure: 9", "init failure: 100",
    "cuda error 100", "nvidia-smi: command not found", "gpu access blocked", "driver not loaded",
    "function not implemented", "modprobe: fatal: module nvidia not found",
)  # fmt: skip

SIGNS = (
    Sign(
        r"(?i)/usr/lib/wsl/lib/\S{1,40}: (?:cannot open|no such file|file too short)",
        anchor="/usr/lib/wsl/lib",
        example="/usr/lib/wsl/lib/libcuda.so.1: cannot open shared object file: No such file or directory",
    ),
    Sign(
        r"(?i)3\.4\.0\+ .{0,80}microsoft|linux version \d\.\d\.\d-\d{1,10}-microsoft",
        anchor="microsoft",
        example="Linux version 4.4.0-17763-Microsoft (Microsoft@Microsoft.com)",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"WSL environment detected but no adapters were found",
        anchor="wsl environment detected",
        example="nvidia-container-cli: initialization error: WSL environment detected but no adapters"
        " were found: unknown",
    ),
)

STORIES = (
    Story((Told.WSL, Told.GPU_UNSEEN), decides="ls -l /usr/lib/wsl/lib"),
    Story((Told.WSL, Told.DRIVER_SILENT), decides="ls -l /usr/lib/wsl/lib"),
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
    """By the files of this WSL, or by the words of a paste."""
    return _by_files(scene) or _by_words(scene)


def _by_files(scene: Scene) -> Evidence | None:
    """WSL 2 whose loader takes a Linux driver's library, or to which Windows passes none."""
    container = scene.stack.container
    if not isinstance(container.wsl, Known) or container.wsl.value is not Wsl.TWO or cuda_starts(scene):
        return None
    own = [one for one in libraries(scene) if one.is_picked]
    if own:
        saw, sources, certainty = (
            f"the loader takes {own[0].path}, a Linux driver's",
            own[0].path,
            Certainty.SURE,
        )
    elif isinstance(container.wsl_libraries, Absent) or (
        isinstance(container.wsl_libraries, Known) and "libcuda.so.1" not in container.wsl_libraries.value
    ):
        saw, sources = "Windows passes no libcuda.so.1 in", container.wsl_libraries.source
        certainty = Certainty.LIKELY
    else:
        return None
    return Evidence(
        saw=f"WSL 2: {saw}",
        expected="/usr/lib/wsl/lib/libcuda.so.1 of the driver on Windows, and no Linux driver",
        sources=(container.wsl.source, sources),
        certainty=certainty,
        decides="" if own else "nvidia-smi in a Windows terminal: is there an NVIDIA card and driver?",
        strength=12,
    )


def _by_words(scene: Scene) -> Evidence | None:
    """Words of WSL and trouble with the driver; a Linux driver's library is the better evidence."""
    if not scene.lines.has_any(*_TROUBLE) or (
        isinstance(scene.stack.container.wsl, Known) and scene.stack.container.wsl.value is Wsl.NONE
    ):
        return None
    marks = (*_WSL, "gpu access blocked")
    if not scene.lines.has_any(*marks):
        return None
    linux = scene.lines.search(
        r"/usr/lib/(?:x86_64-linux-gnu|aarch64-linux-gnu)/lib(?:nvidia-ml|cuda)\.so\.\d{3}",
        anchor="/usr/lib/",
    )
    wsl = next(line for line in scene.lines.lines if any(word in line.text.lower() for word in marks))
    line = wsl if linux is None else linux[0]
    return Evidence(
        saw=line.text.strip()[:300],
        expected="only the libraries that Windows passes in below /usr/lib/wsl/lib, on WSL 2",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.SURE,
        strength=10,
    )
