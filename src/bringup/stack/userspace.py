"""Facts of the layer: userspace. The driver's libraries, packages and services, and what hides a card."""

from __future__ import annotations

from typing import Final

from bringup.machine.protocol import Machine
from bringup.reading import NOT_LOOKED, Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.lines import Lines
from bringup.stack.loader import Loader, probe_loader
from bringup.stack.pending_upgrades import OfferedUpgrade, probe_pending_upgrades
from bringup.stack.userspace_libraries import (
    CUDA,
    NVML,
    LibraryVersion,
    PickedLibrary,
    probe_libraries,
    probe_picked,
)
from bringup.stack.userspace_packages import (
    DriverPackage,
    Runfile,
    probe_packages,
    probe_runfile,
    recognise_library_version,
)
from bringup.stack.version import find_driver_version

_FABRIC_MANAGER: Final = "/usr/bin/nv-fabricmanager"
_FABRIC_MANAGER_PIDS: Final = (
    "/run/nvidia-fabricmanager/nv-fabricmanager.pid",
    "/var/run/nvidia-fabricmanager/nv-fabricmanager.pid",
)
_PERSISTENCED: Final = "/usr/bin/nvidia-persistenced"
_PERSISTENCED_PIDS: Final = ("/run/nvidia-persistenced/nvidia-persistenced.pid",)
_RESTART_WANTED: Final = "/run/reboot-required.pkgs"
_SWITCHES: Final = "/proc/driver/nvidia-nvswitch/devices"


@dataclass(frozen=True, slots=True)
class DriverService:
    """A service of the driver. `is_running`: by its process id file."""

    program: str
    is_running: Reading[bool]


@dataclass(frozen=True, slots=True)
class Userspace:
    """Facts of this layer; every reading is `NOT_LOOKED` until somebody looks.

    Attributes:
        driver_library_versions: libnvidia-ml and libcuda files, the picked ones first.
        nvml_library: what the loader takes for libnvidia-ml.so.1; absent where it finds none.
        cuda_library: the same for libcuda.so.1.
        loader: the folders that it looks into.
        packages: of the driver, with their states.
        pending_upgrades: newer versions of these in apt's lists; absent where no such package is installed.
        runfile: a driver that NVIDIA's own installer put there.
        smi: path of nvidia-smi.
        persistenced: the persistence daemon; absent where it is not installed.
        fabric_manager: of machines with NVSwitch; absent where it is not installed.
        switches: how many NVSwitches the driver has.
        restart_wanted_by: packages that want a restart of the machine, as Debian's tools note them.
        visible_devices: CUDA_VISIBLE_DEVICES of whoever looks; absent where it is not set.
    """

    driver_library_versions: Reading[tuple[LibraryVersion, ...]] = NOT_LOOKED
    nvml_library: Reading[PickedLibrary] = NOT_LOOKED
    cuda_library: Reading[PickedLibrary] = NOT_LOOKED
    loader: Reading[Loader] = NOT_LOOKED
    packages: Reading[tuple[DriverPackage, ...]] = NOT_LOOKED
    pending_upgrades: Reading[tuple[OfferedUpgrade, ...]] = NOT_LOOKED
    runfile: Reading[Runfile] = NOT_LOOKED
    smi: Reading[str] = NOT_LOOKED
    persistenced: Reading[DriverService] = NOT_LOOKED
    fabric_manager: Reading[DriverService] = NOT_LOOKED
    switches: Reading[int] = NOT_LOOKED
    restart_wanted_by: Reading[tuple[str, ...]] = NOT_LOOKED
    visible_devices: Reading[str] = NOT_LOOKED


def probe_userspace(machine: Machine) -> Userspace:
    """Look at the driver's user space: files, and one command where packages are rpm's."""
    loader = probe_loader(machine)
    nvml, cuda = probe_picked(machine, loader, NVML), probe_picked(machine, loader, CUDA)
    packages = probe_packages(machine)
    return Userspace(
        driver_library_versions=probe_libraries(machine, loader, (nvml, cuda)),
        nvml_library=nvml,
        cuda_library=cuda,
        loader=Known(loader, "/etc/ld.so.cache, LD_LIBRARY_PATH"),
        packages=packages,
        pending_upgrades=probe_pending_upgrades(machine, packages),
        runfile=probe_runfile(machine),
        smi=_probe_smi(machine),
        persistenced=_probe_service(machine, _PERSISTENCED, _PERSISTENCED_PIDS),
        fabric_manager=_probe_service(machine, _FABRIC_MANAGER, _FABRIC_MANAGER_PIDS),
        switches=_probe_switches(machine),
        restart_wanted_by=convert(
            machine.read_text(_RESTART_WANTED), lambda text: tuple(dict.fromkeys(text.split()))
        ),
        visible_devices=machine.environment("CUDA_VISIBLE_DEVICES"),
    )


def recognise(lines: Lines) -> Userspace:
    """What pasted lines say of this layer.

    Raw line: `NVML library version: 570.172`; without it the rows of a list of packages.
    """
    hit = lines.last(r"NVML library version: (?:\d{2}\.)?(\d{3}\.[\d.]+)", anchor="nvml library version:")
    version = find_driver_version(hit[1].group(1)) if hit is not None else None
    if hit is not None and version is not None:
        found = (LibraryVersion(version),)
        return Userspace(driver_library_versions=Known(found, f"{hit[0].source}, line {hit[0].number}"))
    listed = recognise_library_version(lines)
    return Userspace(driver_library_versions=convert(listed, lambda found: (LibraryVersion(found),)))


def _probe_smi(machine: Machine) -> Reading[str]:
    problem: Unreadable | None = None
    for path in ("/usr/bin/nvidia-smi", "/usr/local/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"):
        found = machine.stat(path)
        if isinstance(found, Known):
            return Known(path, path)
        problem = found if isinstance(found, Unreadable) and path.startswith("/usr/bin") else problem
    return problem or Absent("/usr/bin/nvidia-smi")


def _probe_service(machine: Machine, program: str, pid_files: tuple[str, ...]) -> Reading[DriverService]:
    found = machine.stat(program)
    if not isinstance(found, Known):
        return found
    running: Reading[bool] = Known(value=False, source=pid_files[0])
    for path in pid_files:
        process = machine.read_text(path, limit_bytes=64)
        if isinstance(process, Known) and process.value.strip().isdigit():
            is_there = isinstance(machine.stat(f"/proc/{process.value.strip()}"), Known)
            return Known(DriverService(program, Known(is_there, path)), program)
        if isinstance(process, Unreadable):
            running = process
    return Known(DriverService(program, running), program)


def _probe_switches(machine: Machine) -> Reading[int]:
    names = machine.list_folder(_SWITCHES)
    if isinstance(names, Known):
        return Known(len(names.value), _SWITCHES)
    return names
