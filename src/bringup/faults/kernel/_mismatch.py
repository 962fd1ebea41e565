"""The founding case in depth: what differs, who changed it, what cures it, with and without a restart."""

from __future__ import annotations

from bringup.faults._fault import Evidence, Safety, Slot, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import has_own_kernel, picked_library
from bringup.faults.kernel._steps import (
    BUILD_ALL,
    GET_MODULE,
    family,
    finish_upgrade_steps,
    module_steps,
)
from bringup.patterns import regex
from bringup.reading import Known, Unreadable
from bringup.records import dataclass, replace
from bringup.stack.device_files import Holder
from bringup.stack.distribution import PackageFamily
from bringup.stack.installed_kernels import InstalledKernel
from bringup.stack.package_change import Author, PackageChange
from bringup.stack.typed import find_typed
from bringup.stack.version import DriverVersion

_CONTAINER = regex(r"(?:docker|podman|nerdctl|kubectl|nvidia-docker|apptainer|singularity|crictl|lxc|pct)\b")

_LAST_UNITS = ("nvidia-fabricmanager.service", "nvidia-dcgm.service", "nvidia-persistenced.service")
"""Stopped last and started first: programs depend on them."""

_DESKTOPS = ("gdm.service", "gdm3.service", "sddm.service", "lightdm.service", "display-manager.service")
_DESKTOP_PROGRAMS = ("Xorg", "Xwayland", "gnome-shell", "kwin_wayland", "plasmashell", "mutter-x11-fram")


@dataclass(frozen=True, slots=True)
class Versions:
    """The numbers to compare; the disk's are `None` where no module lies there or none is known."""

    loaded: DriverVersion
    library: DriverVersion
    running_disk: DriverVersion | None
    coming_disk: DriverVersion | None


def read_versions(scene: Scene) -> Versions | None:
    """Loaded module and picked library, when both are known and differ."""
    kernel = scene.stack.kernel
    library = picked_library(scene)
    loaded = kernel.loaded_driver.value.version if isinstance(kernel.loaded_driver, Known) else None
    pair = kernel.log.value.mismatch if isinstance(kernel.log, Known) else None
    if pair is not None and (library is None or loaded is None):
        library, loaded = pair.library, pair.module
    if library is None or loaded is None or library.fits(loaded) or not has_own_kernel(scene):
        return None
    told = kernel.disk_module.value.version if isinstance(kernel.disk_module, Known) else None
    return Versions(loaded, library, disk_version(kernel.running) or told, disk_version(kernel.coming))


def disk_version(kernel: InstalledKernel | None) -> DriverVersion | None:
    """Version of the module that this kernel would load; `None` where there is none or it cannot be read."""
    if kernel is None or not kernel.modules or not isinstance(kernel.modules[0].info, Known):
        return None
    return kernel.modules[0].info.value.version


def judge_mismatch(scene: Scene) -> Evidence | None:
    """Evidence with every version, the change that made it, and the steps for this machine."""
    versions = read_versions(scene)
    if versions is None:
        return None
    parts = [f"loaded module {versions.loaded}, libraries {versions.library}"]
    sources = [
        _source(scene.stack.kernel.loaded_driver),
        _source(scene.stack.userspace.driver_library_versions),
    ]
    if versions.running_disk is not None:
        parts.append(f"module on the disk for this kernel {versions.running_disk}")
    coming = scene.stack.kernel.coming
    if coming is not None and coming != scene.stack.kernel.running:
        parts.append(f"for the kernel that boots next ({coming.release}) {versions.coming_disk or 'none'}")
    change = find_change(scene, versions.library)
    if change is not None:
        parts.append(describe_change(change))
        sources.append(_source(scene.stack.kernel.changes))
    return Evidence(
        saw="; ".join(parts),
        expected="the loaded module and the libraries of one version",
        sources=tuple(source for source in sources if source),
        steps=mismatch_steps(scene, versions),
        strength=10,
    )


def has_fitting_library(scene: Scene) -> bool:
    """Whether a library that fits the module lies on the disk too: then two drivers are mixed.

    The module is the loaded one; of a mounted disk, where nothing is loaded, the one of its next start.
    """
    libraries = scene.stack.userspace.driver_library_versions
    loaded = scene.stack.kernel.loaded_driver
    module = loaded.value.version if isinstance(loaded, Known) else None
    if isinstance(loaded, Unreadable):
        module = disk_version(scene.stack.kernel.coming)
    if not isinstance(libraries, Known) or module is None:
        return False
    return any(library.version.fits(module) for library in libraries.value)


def judge_disk(scene: Scene) -> Evidence | None:
    """A mounted disk, where nothing is loaded: the module that its next start takes against its libraries."""
    kernel = scene.stack.kernel
    library, coming = picked_library(scene), kernel.coming
    disk = disk_version(coming)
    if not isinstance(kernel.loaded_driver, Unreadable) or library is None or disk is None or coming is None:
        return None
    if library.fits(disk):
        return None
    change = find_change(scene, library)
    return Evidence(
        saw=f"module {disk} for the kernel {coming.release}, libraries {library}"
        + (f"; {describe_change(change)}" if change else ""),
        expected="module and libraries of one version",
        sources=(coming.modules[0].path, _source(scene.stack.userspace.driver_library_versions)),
        steps=finish_upgrade_steps(scene),
        strength=10,
    )


def judge_failure(scene: Scene) -> Evidence | None:
    """A program on the host that NVML refused.

    What nvidia-smi printed inside a container is left out: were the host's own pair unequal, the container
    would not have started (nvidia-container-cli compares first), so there the image's libraries are odd.
    """
    inside = {
        line.number
        for typed in find_typed(scene.lines)
        if _CONTAINER.match(typed.command)
        for line in (typed.line, *typed.output)
    }
    api = scene.lines.with_anchor("nvrm: api mismatch")
    for line in (*scene.lines.with_anchor("driver/library version mismatch"), *api):
        is_inside = line.number in inside and "Failed to initialize NVML" in line.text
        if not is_inside and "nvml error:" not in line.text:
            return Evidence(
                saw=" ".join(line.text.split())[:300] + _known_side(scene),
                expected="the loaded module and the libraries of one version",
                sources=(f"{line.source}, line {line.number}",),
            )
    return None


def _known_side(scene: Scene) -> str:
    """The one version that the text gives, and that the other is still to be seen."""
    loaded = scene.stack.kernel.loaded_driver
    library = picked_library(scene)
    if library is not None and not isinstance(loaded, Known):
        return f"; libraries {library}, the loaded module's version is not known here"
    if library is None and isinstance(loaded, Known):
        return f"; loaded module {loaded.value.version}, the libraries' version is not known here"
    return ""


def find_change(scene: Scene, version: DriverVersion) -> PackageChange | None:
    """The newest change that brought this driver version; of one run the package with the libraries."""
    changes = scene.stack.kernel.changes
    if not isinstance(changes, Known):
        return None
    found = [
        change
        for change in changes.value
        if change.is_driver and version.text in change.new and change.action != "reinstall"
    ]
    same_run = [change for change in found if change.when == found[-1].when]
    return next((change for change in same_run if change.package.startswith("lib")), None) or (
        same_run[-1] if same_run else None
    )


def describe_change(change: PackageChange) -> str:
    """One clause: when, who, from what to what."""
    who = {
        Author.UNATTENDED: "by the unattended upgrade",
        Author.BY_HAND: "by hand",
        Author.UNKNOWN: "by the package tool",
    }[change.author]
    command = f" ({change.command})" if change.command and change.author is Author.BY_HAND else ""
    versions = " -> ".join(filter(None, (change.old, change.new)))
    return f"{change.package} {versions} on {change.when} {who}{command}"


def mismatch_steps(scene: Scene, versions: Versions) -> tuple[Step, ...]:
    """Cheapest first: restart if that cures, else finish the upgrade; reload without restart; prevention."""
    steps: list[Step] = list(_prepare_steps(scene, versions))
    steps.append(_reboot_step(scene, versions, is_prepared=bool(steps)))
    if versions.running_disk is not None and versions.running_disk.fits(versions.library):
        steps.extend(_reload_steps(scene))
    steps.extend(_prevention_steps(scene))
    return tuple(steps)


def _prepare_steps(scene: Scene, versions: Versions) -> tuple[Step, ...]:
    """What must be done before a restart can cure: nothing, a build, or the rest of the upgrade."""
    kernel = scene.stack.kernel
    coming = kernel.coming or kernel.running
    if coming is None:
        return _told_steps(scene, versions)
    disk = versions.coming_disk if kernel.coming is not None else versions.running_disk
    if disk is None and not coming.modules:
        return module_steps(scene, coming)
    if disk is not None and not disk.fits(versions.library):
        return finish_upgrade_steps(scene)
    return ()


def _told_steps(scene: Scene, versions: Versions) -> tuple[Step, ...]:
    """What a paste asks for: modinfo showed a module on the disk that the libraries do not fit."""
    if versions.running_disk is None or versions.running_disk.fits(versions.library):
        return ()
    if scene.lines.has("/dkms/nvidia"):
        return (BUILD_ALL, *finish_upgrade_steps(scene))
    return finish_upgrade_steps(scene) or (GET_MODULE,)


def _reboot_step(scene: Scene, versions: Versions, *, is_prepared: bool) -> Step:
    coming = scene.stack.kernel.coming
    if is_prepared:
        say = "Only then restart: before these steps a restart would not cure it."
    elif coming is not None and versions.coming_disk is not None:
        say = (
            f"Restart: the kernel that boots next ({coming.release}) has the module {versions.coming_disk}, "
            "which fits the libraries."
        )
    else:
        say = "Restart, so that the module of the libraries' version is loaded."
    return replace(REBOOT, say=say)


def _reload_steps(scene: Scene) -> tuple[Step, ...]:
    """Without a restart: stop what holds the GPU, unload and load the modules, start it again."""
    kernel = scene.stack.kernel
    holders = kernel.holders.value if isinstance(kernel.holders, Known) else ()
    units = order_units(holders)
    has_desktop = any(holder.name in _DESKTOP_PROGRAMS for holder in holders)
    steps = [
        _kill_step(holder) for holder in holders if not holder.unit and holder.name not in _DESKTOP_PROGRAMS
    ]
    if has_desktop and not any(unit in _DESKTOPS for unit in units):
        units = ("display-manager.service", *units)
    steps.extend(_unit_step("stop", unit) for unit in units)
    steps.extend(_unload_step(name) for name in _loaded_helpers(scene))
    steps.append(
        Step(
            "Without a restart: unload the old modules, in this order.",
            ("modprobe", "-r", "nvidia_drm", "nvidia_modeset", "nvidia_uvm", "nvidia"),
            Safety.DISRUPTIVE,
            needs_root=True,
            undo="modprobe -a nvidia nvidia_uvm nvidia_drm",
            touches="the running kernel; refused with 'in use' while a program still holds the GPU",
        )
    )
    steps.extend(_load_step(module) for module in ("nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm"))
    steps.extend(_unit_step("start", unit) for unit in reversed(units))
    return tuple(steps)


def order_units(holders: tuple[Holder, ...]) -> tuple[str, ...]:
    """Services in stopping order: programs first, the driver's own services last."""
    units = dict.fromkeys(holder.unit for holder in holders if holder.unit)
    last = [unit for unit in _LAST_UNITS if unit in units]
    return (*(unit for unit in units if unit not in last), *last)


def _kill_step(holder: Holder) -> Step:
    return Step(
        f"Without a restart: end {holder.name} (process {holder.process_id}), which holds the GPU.",
        ("kill", Slot.PID),
        Safety.DISRUPTIVE,
        touches="that program; save its work first",
        undo="start it again by hand",
        values=((Slot.PID, str(holder.process_id)),),
    )


def _unit_step(verb: str, unit: str) -> Step:
    say = {
        "stop": f"Without a restart: stop {unit}, which holds the GPU.",
        "start": f"Without a restart: start {unit} again.",
    }[verb]
    if unit in _DESKTOPS and verb == "stop":
        say += " This ends the desktop session: do it from a text console or over ssh."
    return Step(
        say,
        ("systemctl", verb, Slot.UNIT),
        Safety.DISRUPTIVE if verb == "stop" else Safety.SAFE,
        needs_root=True,
        undo=f"systemctl {'start' if verb == 'stop' else 'stop'} {unit}",
        touches="one service",
        values=((Slot.UNIT, unit),),
    )


def _loaded_helpers(scene: Scene) -> tuple[str, ...]:
    """Modules of others that sit on nvidia and have to go first."""
    modules = scene.stack.kernel.modules
    loaded = {module.name for module in modules.value} if isinstance(modules, Known) else set()
    return tuple(name for name in ("nvidia_peermem", "nvidia_fs", "gdrdrv") if name in loaded)


def _unload_step(module: str) -> Step:
    return Step(
        f"Without a restart: unload {module}, which sits on the driver.",
        ("modprobe", "-r", Slot.MODULE),
        Safety.DISRUPTIVE,
        needs_root=True,
        undo=f"modprobe {module}",
        touches="the running kernel",
        values=((Slot.MODULE, module),),
    )


def _load_step(module: str) -> Step:
    return Step(
        f"Without a restart: load {module} of the new version.",
        ("modprobe", module),
        Safety.SAFE,
        needs_root=True,
        undo=f"modprobe -r {module}",
        touches="the running kernel",
        verify=("nvidia-smi",) if module == "nvidia" else (),
    )


def _prevention_steps(scene: Scene) -> tuple[Step, ...]:
    changes = scene.stack.kernel.changes
    is_unattended = isinstance(changes, Known) and any(
        change.author is Author.UNATTENDED and change.is_driver for change in changes.value
    )
    if family(scene) is not PackageFamily.APT or not is_unattended:
        return ()
    return (
        Step(
            'So that it does not happen at night again: add the patterns "^nvidia-", "^libnvidia-" and '
            '"^linux-modules-nvidia" to Unattended-Upgrade::Package-Blacklist in '
            "/etc/apt/apt.conf.d/50unattended-upgrades. What it gives up: security fixes of the driver"
            " then wait "
            "until you upgrade by hand and restart.",
            safety=Safety.SAFE,
            touches="one line of one file",
            undo="take the patterns out again",
            verify=("apt-config", "dump", "Unattended-Upgrade::Package-Blacklist"),
        ),
    )


def _source(reading: object) -> str:
    return reading.source if isinstance(reading, Known) else ""
