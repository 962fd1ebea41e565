"""No NVIDIA driver is installed.

Symptom: nvidia-smi is an unknown command, the kernel offers only nouveau or nvidiafb for the card, no driver
    package.
Reason: the card is there and nothing on the system can drive it for computing; nouveau shows a picture and
    runs no CUDA.
Sources: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
    https://wiki.debian.org/NvidiaGraphicsDrivers
Limits: in a container a missing nvidia-smi says that the GPU was not passed in (container-no-gpu-flag).
"""

from __future__ import annotations

from bringup.faults._fault import NVIDIA_SMI_WORKS, Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.userspace._driver import is_unloaded
from bringup.reading import Absent, Known
from bringup.records import replace
from bringup.stack.told import Told

_ELSEWHERE = ("docker run", "docker exec", "docker compose", "podman", "kubectl", "wsl", "microsoft")

SIGNS = (
    Sign(
        r"(?i)(?:nvidia-smi'? ?: (?:command )?not found|command '?nvidia-smi'? not found|nvidia-smi: not "
        r"found"
        r"|unknown command:? '?nvidia-smi|command not found: nvidia-smi)",
        anchor="nvidia-smi",
        example="bash: nvidia-smi: command not found",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"(?i)command 'nvidia-smi' not found, but can be installed with"
        r"|The program 'nvidia-smi' is currently not installed",
        anchor="'nvidia-smi' ",
        example="Command 'nvidia-smi' not found, but can be installed with:",
        unless=_ELSEWHERE,
    ),
    Sign(
        r"(?i)no such file or directory: '?nvidia-smi",
        anchor="nvidia-smi",
        example="FileNotFoundError: [Errno 2] No such file or directory: 'nvidia-smi'",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"(?i)found no nvidia driver on your system",
        anchor="found no nvidia driver",
        example="RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA "
        "GPU",
        certainty=Certainty.LIKELY,
        unless=(*_ELSEWHERE, "communicate with the nvidia driver"),
    ),
    Sign(
        r"(?i)(?:no|not) nvidia (?:kernel )?driver (?:is |was )?(?:installed|found)",
        anchor="nvidia",
        example="WARNING: no NVIDIA driver installed",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
    Sign(
        r"(?i)nvidia GPU detected.{0,40}(?:but )?no (?:nvidia )?drivers?|install the (?:nvidia )?(?:cuda "
        r")?drivers",
        anchor="driver",
        example="WARNING: NVIDIA GPU detected but no drivers installed",
        certainty=Certainty.LIKELY,
        unless=_ELSEWHERE,
    ),
)

STORIES = (Story((Told.SMI_MISSING,), (Told.CONTAINER, Told.WSL), strength=-4),)

OVER = (NVIDIA_SMI_WORKS,)

EXPLAINS = (
    "library-missing",
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step("See the card and what drives it.", ("lspci", "-nnk", "-d", "10de:"), Safety.LOOK),
    Step(
        "Ubuntu and its kin: install the recommended driver.",
        ("ubuntu-drivers", "install"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="driver packages, the boot image",
        undo="apt purge 'nvidia-*' and reboot",
        verify=("modinfo", "-F", "version", "nvidia"),
        only="ubuntu",
    ),
    Step(
        "Debian, with the components contrib, non-free and non-free-firmware among its sources: install the"
        " driver.",
        ("apt-get", "install", "nvidia-driver"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="driver packages, the boot image",
        undo="apt purge nvidia-driver and reboot",
        verify=("modinfo", "-F", "version", "nvidia"),
        only="debian",
    ),
    Step(
        "Fedora: the package akmod-nvidia of RPM Fusion; Arch: nvidia-open or nvidia-open-dkms (RTX 20 and "
        "newer).",
        safety=Safety.DISRUPTIVE,
        touches="driver packages",
        undo="remove the package and reboot",
        verify=("modinfo", "-F", "version", "nvidia"),
    ),
    replace(REBOOT, say="Then restart, so that the driver is loaded."),
)


def check(scene: Scene) -> Evidence | None:
    """A card and nothing of a driver on this machine, or lspci's list of modules for it in a paste."""
    return _by_files(scene) or _by_lspci(scene)


def _by_files(scene: Scene) -> Evidence | None:
    """A card on the bus; no library, no module for any kernel, none loaded."""
    kernel, container = scene.stack.kernel, scene.stack.container
    cards = [d for d in scene.stack.hardware.nvidia_devices if d.driver != Known("vfio-pci", d.driver.source)]
    if not cards or container.is_inside or container.is_wsl or not is_unloaded(scene):
        return None
    libraries = scene.stack.userspace.driver_library_versions
    kernels = kernel.kernels.value if isinstance(kernel.kernels, Known) else ()
    if not isinstance(libraries, Absent) or not kernels or any(one.modules for one in kernels):
        return None
    return Evidence(
        saw=f"{cards[0].name or 'an NVIDIA card'} at {cards[0].address}; no driver library, no nvidia module",
        expected="the NVIDIA driver's module and libraries",
        sources=("lspci", libraries.source, kernel.kernels.source),
        strength=10,
    )


def _by_lspci(scene: Scene) -> Evidence | None:
    """The only modules that lspci lists for the card are nouveau and nvidiafb."""
    hit = scene.lines.search(
        r"Kernel modules: (?:nvidiafb, nouveau|nouveau|nvidiafb)\s*$", anchor="kernel modules:"
    )
    if hit is None or scene.lines.has_any("/proc/driver/nvidia", "dkms", "nvrm:"):
        return None
    if scene.lines.has_any("kernel driver in use: nouveau", *_ELSEWHERE):
        return None
    line, _ = hit
    offered = scene.lines.has("ubuntu-drivers") or scene.lines.has("driver   : nvidia-driver")
    return Evidence(
        saw=line.text.strip(),
        expected="nvidia among the kernel modules for the card",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.SURE if offered else Certainty.LIKELY,
        decides="" if offered else "dpkg -l 'nvidia-driver-*' 'nvidia-dkms-*'; modinfo nvidia",
        strength=5,
    )
