"""Every installed kernel and the NVIDIA modules that lie there for it."""

from __future__ import annotations

import re
from typing import Final

from bringup.machine.protocol import FileKind, Machine
from bringup.patterns import regex
from bringup.reading import Absent, Known, Reading, Unreadable, convert
from bringup.records import dataclass
from bringup.stack.module_file import ModuleInfo, parse_module
from bringup.stack.version import KernelRelease

_ROOTS: Final = ("/lib/modules", "/usr/lib/modules")
_NIXOS_ROOT: Final = "/run/booted-system/kernel-modules/lib/modules"
_FOLDERS: Final = (
    "updates/dkms",
    "updates",
    "extra/nvidia",
    "extra",
    "extramodules",
    "weak-updates/nvidia",
    "weak-updates",
    "kernel/drivers/video",
    "misc",
)
"""Where distributions put the modules, in the order in which depmod prefers them."""

_MODULE_NAME: Final = regex(
    r"nvidia(?:-current)?(?P<part>-modeset|-drm|-uvm|-peermem)?\.ko(?:\.(?:xz|zst|gz))?"
)
_READ_LIMIT_BYTES: Final = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class NvidiaModule:
    """One set of NVIDIA modules in one folder.

    `info` is read from nvidia-modeset.ko, which has version and licence as nvidia.ko has and is
    thirty times smaller; from nvidia.ko where that is absent.
    """

    path: str
    info: Reading[ModuleInfo]


@dataclass(frozen=True, slots=True)
class InstalledKernel:
    """One folder of /lib/modules.

    Attributes:
        release: as `uname -r` would say.
        modules: sets of NVIDIA modules; the first is the one that modprobe takes.
        has_image: whether a kernel image of it can be booted.
        has_headers: whether modules can be built for it.
    """

    release: KernelRelease
    modules: tuple[NvidiaModule, ...]
    has_image: Reading[bool]
    has_headers: Reading[bool]


def probe_kernels(machine: Machine) -> Reading[tuple[InstalledKernel, ...]]:
    """Installed kernels, oldest first; a folder without modules.dep or image is a left-over, not listed."""
    root, names = _list_root(machine)
    if not isinstance(names, Known):
        return names
    boot = machine.list_folder("/boot")
    found = []
    for name in names.value:
        kernel = _probe_kernel(machine, f"{root}/{name}", name, boot)
        if kernel is not None:
            found.append(kernel)
    return Known(tuple(sorted(found, key=lambda kernel: kernel.release)), root)


def _list_root(machine: Machine) -> tuple[str, Reading[tuple[str, ...]]]:
    for root in _ROOTS:
        names = machine.list_folder(root)
        if not isinstance(names, Absent):
            return root, names
    nixos = machine.list_folder(_NIXOS_ROOT)
    return (_NIXOS_ROOT, nixos) if isinstance(nixos, Known) else (_ROOTS[0], Absent(_ROOTS[0]))


def _probe_kernel(
    machine: Machine, folder: str, release: str, boot: Reading[tuple[str, ...]]
) -> InstalledKernel | None:
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+~_-]{0,80}", release):
        return None
    content = machine.list_folder(folder)
    names = content.value if isinstance(content, Known) else ()
    has_image = _has_image(release, names, boot)
    is_left_over = isinstance(content, Known) and "modules.dep" not in names and "kernel" not in names
    if is_left_over and has_image != Known(value=True, source="/boot"):
        return None
    return InstalledKernel(
        KernelRelease(release),
        _find_modules(machine, folder, names),
        has_image,
        _has_headers(machine, folder),
    )


def _has_image(release: str, names: tuple[str, ...], boot: Reading[tuple[str, ...]]) -> Reading[bool]:
    if "vmlinuz" in names:
        return Known(value=True, source=f"/lib/modules/{release}/vmlinuz")
    if isinstance(boot, Known):
        images = (f"vmlinuz-{release}", f"vmlinux-{release}", f"kernel-{release}", f"Image-{release}")
        return Known(value=any(image in boot.value for image in images), source="/boot")
    return (
        Unreadable("/boot", boot.why) if isinstance(boot, Unreadable) else Known(value=False, source="/boot")
    )


def _has_headers(machine: Machine, folder: str) -> Reading[bool]:
    content = machine.list_folder(f"{folder}/build")
    if isinstance(content, Known):
        return Known(value="Makefile" in content.value, source=f"{folder}/build")
    return Known(value=False, source=f"{folder}/build") if isinstance(content, Absent) else content


def _find_modules(machine: Machine, folder: str, names: tuple[str, ...]) -> tuple[NvidiaModule, ...]:
    found = []
    for place in (*_FOLDERS, *_ubuntu_folders(machine, folder, names)):
        if names and place.split("/", 1)[0] not in names:
            continue
        content = machine.list_folder(f"{folder}/{place}")
        if isinstance(content, Known):
            module = _find_in(machine, f"{folder}/{place}", content.value)
            if module is not None:
                found.append(module)
    return tuple(found)


def _ubuntu_folders(machine: Machine, folder: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Ubuntu's prebuilt modules lie in kernel/nvidia-570 and the like."""
    if names and "kernel" not in names:
        return ()
    content = machine.list_folder(f"{folder}/kernel")
    children = content.value if isinstance(content, Known) else ()
    return tuple(f"kernel/{child}" for child in children if re.fullmatch(r"nvidia-\d[\w-]*", child))


def _find_in(machine: Machine, folder: str, names: tuple[str, ...]) -> NvidiaModule | None:
    parts = {match["part"] or "": name for name in names if (match := _MODULE_NAME.fullmatch(name))}
    if "" not in parts:
        return None
    path = f"{folder}/{parts['']}"
    if _is_broken_link(machine, path):
        return None
    smaller = parts.get("-modeset", parts[""])
    data = machine.read(f"{folder}/{smaller}", limit_bytes=_READ_LIMIT_BYTES)
    return NvidiaModule(path, convert(data, parse_module))


def _is_broken_link(machine: Machine, path: str) -> bool:
    own = machine.stat(path)
    if not isinstance(own, Known) or own.value.kind is not FileKind.LINK:
        return False
    return isinstance(machine.read(path, limit_bytes=1), Absent)
