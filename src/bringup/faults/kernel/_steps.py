"""Steps that several faults of this layer share, for the package tool of this machine."""

from __future__ import annotations

import re

from bringup.faults._fault import Safety, Slot, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import BUILD, REBOOT
from bringup.reading import Known, Unreadable, need
from bringup.records import replace
from bringup.stack.distribution import PackageFamily
from bringup.stack.installed_kernels import InstalledKernel
from bringup.stack.version import KernelRelease

BUILD_ALL = replace(
    BUILD,
    say="Have DKMS build the module of the libraries' version; the one on the disk is of another.",
    verify=("modinfo", "-F", "version", "nvidia"),
)

GET_MODULE = Step(
    "Install the module of the libraries' version; the one on the disk is of another.",
    touches="the driver's packages",
    undo="install the former version of the same packages",
    verify=("modinfo", "-F", "version", "nvidia"),
)


def family(scene: Scene) -> PackageFamily | None:
    """The package tool; `None` where the distribution is not known."""
    distribution = scene.stack.kernel.distribution
    return distribution.value.family if isinstance(distribution, Known) else None


def headers_step(scene: Scene, release: KernelRelease) -> Step:
    """Install what modules of one kernel are built against."""
    tools: dict[PackageFamily | None, tuple[tuple[str | Slot, ...], str]] = {
        PackageFamily.APT: (("apt-get", "install", Slot.PACKAGE), f"linux-headers-{release}"),
        PackageFamily.DNF: (("dnf", "install", Slot.PACKAGE), f"kernel-devel-{release}"),
        PackageFamily.PACMAN: (("pacman", "-S", Slot.PACKAGE), "linux-headers"),
        PackageFamily.ZYPPER: (("zypper", "install", Slot.PACKAGE), "kernel-default-devel"),
    }
    command, package = tools.get(family(scene), ((), "kernel headers"))
    return Step(
        f"Install the headers of the kernel {release}.",
        command,
        Safety.SAFE,
        needs_root=True,
        undo="remove the same package",
        touches="one package and what it needs",
        values=((Slot.PACKAGE, package.lower()),) if command else (),
    )


def module_steps(scene: Scene, kernel: InstalledKernel) -> tuple[Step, ...]:
    """Give one kernel its module, in the way in which this machine's other kernels got theirs.

    Ubuntu's prebuilt modules come as a package for each kernel, Fedora's from akmods, the rest from DKMS; a
    module of the run file comes from its installer only.
    """
    release = kernel.release
    place = _place_of_modules(scene)
    prebuilt = re.search(r"/kernel/nvidia-(\d+[a-z0-9-]*)/", place)
    if prebuilt is not None:
        return (_package_step(f"linux-modules-nvidia-{_branch(prebuilt.group(1))}-{release}", release),)
    if family(scene) is PackageFamily.DNF and "/extra/" in place:
        return (_akmods_step(release),)
    if "/kernel/drivers/video/" in place:
        return (*_headers(scene, kernel), _installer_step(release))
    return (*_headers(scene, kernel), build_step(release))


def _place_of_modules(scene: Scene) -> str:
    kernels = scene.stack.kernel.kernels
    paths = [k.modules[0].path for k in kernels.value if k.modules] if isinstance(kernels, Known) else []
    return paths[-1] if paths else ""


def _branch(folder: str) -> str:
    """Ubuntu's folder says `570srv-open` where the package says `570-server-open`."""
    return folder.replace("srv", "-server")


def _headers(scene: Scene, kernel: InstalledKernel) -> tuple[Step, ...]:
    needs = isinstance(kernel.has_headers, Known) and not kernel.has_headers.value
    return (headers_step(scene, kernel.release),) if needs else ()


def _package_step(package: str, release: KernelRelease) -> Step:
    return Step(
        f"Install the module that the distribution built for the kernel {release}.",
        ("apt-get", "install", Slot.PACKAGE),
        Safety.SAFE,
        needs_root=True,
        undo=f"apt-get remove {package}",
        touches="one package and what it needs",
        verify=("modinfo", "-k", Slot.KERNEL_RELEASE, "-F", "version", "nvidia"),
        values=((Slot.PACKAGE, package.lower()), (Slot.KERNEL_RELEASE, release.text)),
    )


def _akmods_step(release: KernelRelease) -> Step:
    return Step(
        f"Have akmods build the module for the kernel {release}.",
        ("akmods", "--force", "--kernels", Slot.KERNEL_RELEASE),
        Safety.SAFE,
        needs_root=True,
        undo="remove the kmod-nvidia package that it built",
        touches=f"/lib/modules/{release}",
        verify=("modinfo", "-k", Slot.KERNEL_RELEASE, "-F", "version", "nvidia"),
        values=((Slot.KERNEL_RELEASE, release.text),),
    )


def _installer_step(release: KernelRelease) -> Step:
    return Step(
        f"Start the kernel {release} and run NVIDIA's installer there again, with --dkms so that later "
        "kernels get their module by themselves.",
        safety=Safety.DISRUPTIVE,
        touches="/lib/modules, the driver's libraries",
        undo="nvidia-uninstall",
    )


def build_step(release: KernelRelease) -> Step:
    """Have DKMS build and install every registered module for one kernel."""
    return Step(
        f"Build the module for the kernel {release}.",
        ("dkms", "autoinstall", "-k", Slot.KERNEL_RELEASE),
        Safety.SAFE,
        needs_root=True,
        undo="dkms uninstall of the same module and version for that kernel",
        touches=f"/lib/modules/{release}",
        verify=("dkms", "status"),
        values=((Slot.KERNEL_RELEASE, release.text),),
    )


def finish_upgrade_steps(scene: Scene) -> tuple[Step, ...]:
    """Bring module and libraries to one version with the package tool of this machine."""
    commands: dict[PackageFamily | None, tuple[tuple[str, ...], ...]] = {
        PackageFamily.APT: (("dpkg", "--configure", "-a"), ("apt-get", "install", "--fix-broken")),
        PackageFamily.DNF: (("dnf", "distro-sync", "*nvidia*"), ("akmods", "--force")),
        PackageFamily.PACMAN: (("pacman", "-Syu"),),
        PackageFamily.ZYPPER: (("zypper", "verify"),),
    }
    return tuple(
        Step(
            "Finish the half-done upgrade: module and libraries must come from one version.",
            command,
            Safety.DISRUPTIVE,
            needs_root=True,
            undo="install the former version of the same packages",
            touches="the driver's packages",
        )
        for command in commands.get(family(scene), ())
    )


def driver_steps(scene: Scene, branch: int | None, *, is_open: bool) -> tuple[Step, ...]:
    """Install a driver of one branch and flavour, where this distribution's package is known; else nothing.

    Ubuntu names branch and flavour in the package; Arch has one branch, its legacy ones are not in its own
    repositories.
    """
    distribution = scene.stack.kernel.distribution
    if not isinstance(distribution, Known):
        return ()
    if distribution.value.id == "ubuntu" and branch is not None:
        package = f"nvidia-driver-{branch}" + ("-open" if is_open else "")
        tool: tuple[str | Slot, ...] = ("apt-get", "install", Slot.PACKAGE)
    elif distribution.value.family is PackageFamily.PACMAN and is_open:
        package, tool = "nvidia-open-dkms", ("pacman", "-S", Slot.PACKAGE)
    else:
        return ()
    install = Step(
        f"Install {package}, which replaces the present driver.",
        tool,
        Safety.DISRUPTIVE,
        needs_root=True,
        undo="install the present driver's package again",
        touches="the driver's packages",
        verify=("modinfo", "-F", "license", "nvidia"),
        values=((Slot.PACKAGE, package),),
    )
    return (install, REBOOT)


def any_other_has_module(scene: Scene) -> bool:
    """Whether the running kernel has a module; of a mounted disk, where none runs, whether any has."""
    kernel = scene.stack.kernel
    if kernel.running is not None:
        return bool(kernel.running.modules)
    is_mounted = isinstance(kernel.release, Unreadable) and isinstance(kernel.kernels, Known)
    return is_mounted and any(item.modules for item in need(kernel.kernels) or ())
