"""What several faults of this layer ask of a scene: which cards, which driver, which library."""

from __future__ import annotations

from bringup.faults._scene import Scene
from bringup.reading import Known, Unreadable
from bringup.stack.dkms import DkmsState
from bringup.stack.gpu_generations import SUPPORT, Generation, find_generation
from bringup.stack.kernel_log import Refusal
from bringup.stack.version import DriverVersion

CANNOT_REACH = "couldn't communicate with the nvidia driver"
"""Anchor of nvidia-smi's line for a driver that does not answer: a symptom of most faults here."""


def device_ids(scene: Scene) -> tuple[int, ...]:
    """Chips of NVIDIA that the bus or the kernel's log names, each once."""
    found = [
        device.device_id for device in scene.stack.hardware.nvidia_devices if device.device_id is not None
    ]
    log = scene.stack.kernel.log
    if isinstance(log, Known):
        found.extend(log.value.device_ids)
    return tuple(dict.fromkeys(found))


def generations(scene: Scene) -> tuple[tuple[int, Generation], ...]:
    """Chips whose generation is known."""
    pairs = ((device_id, find_generation(device_id)) for device_id in device_ids(scene))
    return tuple((device_id, generation) for device_id, generation in pairs if generation is not None)


def picked_library(scene: Scene) -> DriverVersion | None:
    """The version of the driver library that programs get; `None` where nobody knows it."""
    libraries = scene.stack.userspace.driver_library_versions
    if not isinstance(libraries, Known):
        return None
    return next((library.version for library in libraries.value if library.is_picked), None)


def is_driver_expected(scene: Scene) -> bool:
    """Whether an NVIDIA driver is installed here in some form: a library, a module, or DKMS knows one."""
    kernel = scene.stack.kernel
    if picked_library(scene) is not None:
        return True
    if isinstance(kernel.dkms, Known) and kernel.dkms.value:
        return True
    return isinstance(kernel.kernels, Known) and any(item.modules for item in kernel.kernels.value)


def driver_version(scene: Scene) -> DriverVersion | None:
    """Version of the module: the loaded one, else the one on the disk; `None` where nobody knows."""
    kernel = scene.stack.kernel
    if isinstance(kernel.loaded_driver, Known):
        return kernel.loaded_driver.value.version
    running = kernel.running
    if running is not None and running.modules and isinstance(running.modules[0].info, Known):
        return running.modules[0].info.value.version
    return kernel.disk_module.value.version if isinstance(kernel.disk_module, Known) else None


def is_open_flavour(scene: Scene) -> tuple[bool, str] | None:
    """Whether the module is of the open flavour, and where that stands; `None` where nobody knows."""
    kernel = scene.stack.kernel
    if isinstance(kernel.loaded_driver, Known):
        return kernel.loaded_driver.value.is_open, kernel.loaded_driver.source
    running = kernel.running
    if running is not None and running.modules and isinstance(running.modules[0].info, Known):
        return running.modules[0].info.value.is_open, running.modules[0].path
    disk = kernel.disk_module
    if isinstance(disk, Known) and disk.value.is_open is not None:
        return disk.value.is_open, disk.source
    return None


def holds_nvidia(scene: Scene, driver: str) -> str | None:
    """Address of an NVIDIA device that a kernel driver holds; `None` when none is seen."""
    for device in scene.stack.hardware.nvidia_devices:
        if isinstance(device.driver, Known) and device.driver.value == driver:
            return device.address
    return None


def has_own_kernel(scene: Scene) -> bool:
    """Whether modules of kernels lie here, as on every host.

    A container sees the host's loaded module in /proc and has none on its own disk: what differs there is
    told by the faults of containers. Pasted text shows no folder at all and is taken for a host's.
    """
    kernels = scene.stack.kernel.kernels
    return isinstance(kernels, Unreadable) or (isinstance(kernels, Known) and bool(kernels.value))


def is_wsl(scene: Scene) -> bool:
    """Whether the kernel is the one of WSL, which has no NVIDIA module and needs none."""
    release = scene.stack.kernel.release
    return isinstance(release, Known) and "microsoft" in release.value.text.lower()


def is_long_supported(refusal: Refusal) -> bool:
    """Whether a driver refuses a card of a generation that its branch has known for long.

    New chips of one generation come out for about a year and a half, which is some 30 branch numbers; beyond
    that a refusal as "not supported" is no matter of age.
    """
    generation = find_generation(refusal.device_id) if refusal.device_id is not None else None
    if generation is None or refusal.driver is None:
        return False
    support = SUPPORT[generation]
    is_kept = support.last_branch is None or refusal.driver.branch <= support.last_branch
    return is_kept and refusal.driver.branch >= support.first_branch + 30


def has_other_cause(scene: Scene) -> bool:
    """Whether a module that is not loaded was refused, or another driver has the card."""
    kernel = scene.stack.kernel
    refused = isinstance(kernel.log, Known) and bool(kernel.log.value.refusals)
    taken = any(holds_nvidia(scene, driver) for driver in ("nouveau", "vfio-pci", "pci-stub"))
    return refused or taken


def is_built_for_running(scene: Scene) -> bool:
    """Whether DKMS says that the driver is installed for the running kernel."""
    kernel = scene.stack.kernel
    if not isinstance(kernel.dkms, Known) or not isinstance(kernel.release, Known):
        return False
    return any(m.state is DkmsState.INSTALLED and m.kernel == kernel.release.value for m in kernel.dkms.value)
