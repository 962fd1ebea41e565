"""Steps that several faults of this layer share, for the package tool of this machine."""

from __future__ import annotations

from bringup.faults._fault import Safety, Slot, Step
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.distribution import PackageFamily
from bringup.stack.version import KernelRelease

REBOOT = Step(
    "Restart the machine.",
    ("systemctl", "reboot"),
    Safety.DISRUPTIVE,
    needs_root=True,
    touches="all running programs end",
    undo="none needed",
    verify=("nvidia-smi",),
)

LOAD = Step(
    "Load the module.",
    ("modprobe", "nvidia"),
    Safety.SAFE,
    needs_root=True,
    undo="modprobe -r nvidia",
    touches="the running kernel",
    verify=("nvidia-smi",),
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
