"""A cure with the package tool of the distribution that shows; faults write their steps for Debian's."""

from __future__ import annotations

import dataclasses
from typing import Final

from bringup.faults._diagnose import Diagnosis, Finding
from bringup.faults._fault import Safety, Step
from bringup.reading import Known
from bringup.records import dataclass
from bringup.stack.distribution import Distribution, PackageFamily
from bringup.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Told:
    """A command of another distribution, and the sentence where Debian's does not fit."""

    command: tuple[str, ...] = ()
    say: str = ""


_HEADERS: Final = "Install the headers of its standard kernel (other kernels have a package of their own)."
_SYNC: Final = "Bring the driver's packages to one version; read what it wants to remove before the yes."
_INSTEAD: Final[dict[tuple[str, ...], dict[PackageFamily, Told]]] = {
    ("apt-get", "install", "linux-headers-generic"): {
        PackageFamily.DNF: Told(("dnf", "install", "kernel-devel"), _HEADERS),
        PackageFamily.PACMAN: Told(("pacman", "-S", "linux-headers"), _HEADERS),
        PackageFamily.ZYPPER: Told(("zypper", "install", "kernel-default-devel"), _HEADERS),
    },
    ("apt-get", "install", "--fix-broken"): {
        PackageFamily.DNF: Told(("dnf", "distro-sync", "*nvidia*")),
        PackageFamily.PACMAN: Told(("pacman", "-Syu")),
        PackageFamily.ZYPPER: Told(("zypper", "verify")),
    },
    ("apt-get", "--fix-broken", "install"): {
        PackageFamily.DNF: Told(("dnf", "distro-sync", "*nvidia*"), _SYNC),
        PackageFamily.PACMAN: Told(("pacman", "-Syu"), _SYNC),
        PackageFamily.ZYPPER: Told(("zypper", "verify"), _SYNC),
    },
    ("dpkg", "-l", "*nvidia*"): {
        PackageFamily.DNF: Told(
            ("dnf", "list", "--installed", "*nvidia*"), "See the packages of the driver and their versions."
        ),
        PackageFamily.PACMAN: Told(("pacman", "-Qs", "nvidia"), "See the packages of the driver."),
        PackageFamily.ZYPPER: Told(
            ("zypper", "search", "--installed-only", "--details", "nvidia"),
            "See the packages of the driver and their versions.",
        ),
    },
    ("update-initramfs", "-u"): {
        PackageFamily.DNF: Told(("dracut", "--force"), "Rebuild the initramfs."),
        PackageFamily.PACMAN: Told(("mkinitcpio", "-P"), "Rebuild the initramfs."),
        PackageFamily.ZYPPER: Told(("dracut", "--force"), "Rebuild the initramfs."),
    },
    ("update-initramfs", "-u", "-k", "all"): {
        PackageFamily.DNF: Told(("dracut", "--regenerate-all", "--force")),
        PackageFamily.PACMAN: Told(("mkinitcpio", "-P")),
        PackageFamily.ZYPPER: Told(("dracut", "--regenerate-all", "--force")),
    },
}
"""The same thing in other families, for commands that stand in the steps of faults."""

_AKMODS: Final = (
    ("akmods", "--force"),
    "Have akmods build the module (where it comes from NVIDIA's own repository: dkms autoinstall).",
    "remove the kmod-nvidia package that it built",
)
_KEYS: Final = ("mokutil", "--import", "/var/lib/shim-signed/mok/MOK.der")
_KEY_OF_AKMODS: Final = (
    ("mokutil", "--import", "/etc/pki/akmods/certs/public_key.der"),
    "Or enrol the key that akmods signs with (of DKMS: /var/lib/dkms/mok.pub); choose a password, restart,"
    " and confirm in the blue screen.",
)
_KEY_OF_DKMS: Final = ("mokutil", "--import", "/var/lib/dkms/mok.pub")
_MODULE_PACKAGE: Final = (
    "Install the module's package anew (nvidia-open-driver-G06-signed-kmp-default or"
    " nvidia-driver-G06-kmp-default: zypper install --force), or have DKMS build where it holds the driver:"
    " dkms autoinstall."
)
_NIX_LIBRARIES: Final = ("ls", "/run/opengl-driver/lib")
_NIX_LINK: Final = (
    "NixOS keeps the driver's libraries in /run/opengl-driver/lib: hardware.graphics.enable = true, and for"
    " programs from elsewhere LD_LIBRARY_PATH=/run/opengl-driver/lib."
)
_LOADABLE: Final = ("modinfo", "-F", "version", "nvidia")
_APT_ONLY: Final = ("apt-get", "dpkg", "update-initramfs")
_NIX: Final = Step(
    "NixOS: nothing is installed by hand. Set hardware.nvidia and boot.blacklistedKernelModules in the"
    " configuration, run nixos-rebuild switch, and restart.",
    safety=Safety.DISRUPTIVE,
    touches="the system's configuration",
    undo="nixos-rebuild switch --rollback",
)


def for_its_distribution(found: Diagnosis, stack: Stack) -> Diagnosis:
    """The same diagnosis, its cures with the tools of the distribution that was seen; else as it is."""
    distribution = stack.kernel.distribution
    if not isinstance(distribution, Known) or distribution.value.family is PackageFamily.OTHER:
        return found
    findings = tuple(_fitted(finding, distribution.value) for finding in found.findings)
    return dataclasses.replace(found, findings=findings)


def _fitted(finding: Finding, distribution: Distribution) -> Finding:
    steps = finding.evidence.steps or finding.fault.steps
    fitted = tuple(told for step in steps if (told := _step(step, distribution)) is not None)
    if distribution.family is PackageFamily.NIX and len(fitted) < len(steps):
        fitted = (*fitted, _NIX)
    if fitted == steps:
        return finding
    return dataclasses.replace(finding, evidence=dataclasses.replace(finding.evidence, steps=fitted))


def _step(step: Step, distribution: Distribution) -> Step | None:
    """The step for a distribution; `None` where it has no such thing."""
    fitted: Step | None = step
    if step.only not in ("", _origin(distribution)):
        return None
    for fit in (_built, _signed, _on_nix, _installed):
        fitted = fit(fitted, distribution) if fitted is not None else None
    return fitted


def _origin(distribution: Distribution) -> str:
    """`ubuntu` or `debian` for what is made from one of them; what Ubuntu has, its kin have."""
    names = (distribution.id, *distribution.like)
    return next((origin for origin in ("ubuntu", "debian") if origin in names), distribution.id)


def _built(step: Step, distribution: Distribution) -> Step:
    """Fedora has akmods build, openSUSE has packages of modules."""
    if step.command != ("dkms", "autoinstall"):
        return step
    if distribution.id == "fedora":
        return dataclasses.replace(
            step, command=_AKMODS[0], say=_AKMODS[1], verify=_LOADABLE, undo=_AKMODS[2]
        )
    if distribution.family is PackageFamily.ZYPPER:
        return dataclasses.replace(step, command=(), needs_root=False, say=_MODULE_PACKAGE, verify=_LOADABLE)
    return step


def _signed(step: Step, distribution: Distribution) -> Step:
    """The key that signs modules lies in Ubuntu's own place there only."""
    if step.command != _KEYS or _origin(distribution) == "ubuntu":
        return step
    if distribution.id == "fedora":
        return dataclasses.replace(step, command=_KEY_OF_AKMODS[0], say=_KEY_OF_AKMODS[1])
    return dataclasses.replace(step, command=_KEY_OF_DKMS)


def _on_nix(step: Step, distribution: Distribution) -> Step | None:
    """Where libraries lie on NixOS; nothing of DKMS."""
    if distribution.family is not PackageFamily.NIX or step.command[:1] not in (("dkms",), ("ldconfig",)):
        return step
    if step.command == ("ldconfig", "-p"):
        return dataclasses.replace(step, command=_NIX_LIBRARIES)
    if step.command == ("ldconfig",):
        return dataclasses.replace(step, command=(), needs_root=False, say=_NIX_LINK, verify=_NIX_LIBRARIES)
    return None


def _installed(step: Step, distribution: Distribution) -> Step | None:
    """The package tool's own command for what apt is asked."""
    if step.command == ("apt-get", "install", "linux-headers-generic") and _origin(distribution) == "debian":
        return dataclasses.replace(step, command=("apt-get", "install", "linux-headers-amd64"), say=_HEADERS)
    if distribution.family is PackageFamily.APT or not step.command or step.command[0] not in _APT_ONLY:
        return step
    told = _INSTEAD.get(tuple(str(word) for word in step.command), {}).get(distribution.family)
    if told is None:
        return None
    verify = ("nvidia-smi",) if step.verify[:1] == ("dpkg",) else step.verify
    return dataclasses.replace(step, command=told.command, say=told.say or step.say, verify=verify)
