"""The package manager stands in the middle of an unfinished driver change.

Symptom: "Unmet dependencies", "dpkg was interrupted", half-configured nvidia packages, conflicting driver
    packages.
Reason: an upgrade broke off, packages of two repositories were mixed, or a held package stops the others.
    Until the package manager has finished, the driver on the disk is a mixture.
Sources: https://github.com/aws-samples/aws-deep-learning-ami-ubuntu-dcv-desktop/issues/18
    https://wiki.debian.org/NvidiaGraphicsDrivers
Limits: where the only failed step is the module's build, the cause is dkms-build-failed.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

_DKMS = ("bad return status for module build", "error! bad return status")

SIGNS = (
    Sign(
        r"(?i)E: unmet dependencies|the following packages have unmet dependencies",
        anchor="unmet dependencies",
        example="E: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a "
        "solution).",
        needs=("nvidia",),
    ),
    Sign(
        r"(?i)(?:nvidia|cuda|libnvidia)\S{0,40} : (?:pre-?)?(?:depends|conflicts|breaks): ",
        anchor=" : ",
        example="nvidia-dkms-530 : Depends: nvidia-kernel-common-530 (>= 530.41.03) but 530.30.02-0ubuntu1 "
        "is to be"
        " installed",
    ),
    Sign(
        r"(?i)dpkg was interrupted, you must manually run",
        anchor="dpkg was interrupted",
        example="E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a' to correct the "
        "problem.",
    ),
    Sign(
        r"(?i)dpkg: error processing (?:package|archive) \S{0,60}(?:nvidia|cuda)",
        anchor="error processing",
        example="dpkg: error processing package nvidia-dkms-535 (--configure):",
        certainty=Certainty.LIKELY,
        unless=_DKMS,
    ),
    Sign(
        r"(?i)trying to overwrite '\S{1,120}', which is also in package (?:\S{0,20}nvidia|libcuda|cuda)",
        anchor="trying to overwrite",
        example=" trying to overwrite '/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1', which is also in package"
        " libnvidia-compute-535",
    ),
    Sign(
        r"^(?:iF|iU|iH|iW|rF)\s+\S{0,40}nvidia",
        anchor="nvidia",
        example="iF  nvidia-dkms-535   535.183.01-0ubuntu0.22.04.1  amd64  NVIDIA DKMS package",
        unless=_DKMS,
    ),
    Sign(
        r"(?i)you have held broken packages",
        anchor="held broken packages",
        example="E: Unable to correct problems, you have held broken packages.",
        needs=("nvidia",),
    ),
    Sign(
        r"(?i)(?:problem|error).{0,60}(?:conflicting requests|cannot install).{0,120}nvidia",
        anchor="nvidia",
        example="Problem: cannot install both nvidia-driver-3:550.54.14 and nvidia-driver-3:535.161.07",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)package \S{0,60}nvidia\S{0,60} .{0,120}"
        r"(?:none of the providers can be installed|filtered out by modular filtering)",
        anchor="package ",
        example=" Problem: package nvidia-driver-3:570.124.06-1.el9.x86_64 from cuda requires nvidia-kmod ="
        " 3:570.124.06, but none of the providers can be installed",
    ),
    Sign(
        r"(?i)nothing provides \S{0,60}(?:nvidia|cuda|kmod)",
        anchor="nothing provides",
        example="  - nothing provides nvidia-kmod-common >= 3:550.54.14 needed by kmod-nvidia",
    ),
    Sign(
        r"(?i)error: (?:failed to prepare transaction|could not satisfy dependencies|unresolvable package "
        r"conflicts)",
        anchor="error:",
        example="error: failed to prepare transaction (could not satisfy dependencies)",
        needs=("nvidia",),
    ),
    Sign(
        r"Errors were encountered while processing",
        anchor="errors were encountered while processing",
        example="Errors were encountered while processing:",
        certainty=Certainty.LIKELY,
        unless=_DKMS,
        needs=("nvidia",),
    ),
    Sign(
        r"^(?:lib32-)?nvidia\S{0,40}: /\S{1,160} exists in filesystem",
        anchor=" exists in filesystem",
        example="nvidia-utils: /usr/lib/libnvidia-ml.so.1 exists in filesystem",
    ),
    Sign(
        r"(?i)(?:\bfile /[\w./-]{1,80}/lib(?:nvidia-[a-z-]{1,32}|cuda)\.so\.[\d.]{1,16} .{0,80}"
        r"|processing conflict: \S{0,8}nvidia-.{0,80} )\bconflicts",
        anchor="conflicts",
        example="file /usr/lib64/libnvidia-ml.so.550.54.14 conflicts between attempted installs",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = (
    "libraries-mixed",
    "library-missing",
    "running-on-cpu",
)

STEPS = (
    Step("See the state of the packages (two letters: wanted, is).", ("dpkg", "-l", "*nvidia*"), Safety.LOOK),
    Step(
        "Finish what was interrupted.",
        ("dpkg", "--configure", "-a"),
        Safety.SAFE,
        needs_root=True,
        touches="packages that are unpacked and not configured",
        undo="none needed: it only ends what was begun",
        verify=("dpkg", "--audit"),
    ),
    Step(
        "Let apt bring what is missing; read what it wants to remove before the yes.",
        ("apt-get", "--fix-broken", "install"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="driver packages",
        undo="install the former versions again (see /var/log/apt/history.log)",
        verify=("dpkg", "--audit"),
    ),
    Step(
        "Two sources are mixed: keep one (the distribution's or NVIDIA's repository), purge the driver "
        "packages and "
        "install one version anew, then reboot.",
        safety=Safety.DISRUPTIVE,
        needs_root=True,
        touches="all driver packages; no picture from the card in between",
        undo="install the former packages again",
        verify=("nvidia-smi",),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A package of the driver whose change was begun and not finished."""
    packages = need(scene.stack.userspace.packages) or ()
    broken = [package for package in packages if package.is_broken]
    if not broken:
        return None
    named = ", ".join(f"{package.name} {package.version} is {package.state.value}" for package in broken[:4])
    return Evidence(
        saw=named,
        expected="all packages of the driver installed and configured",
        sources=(scene.stack.userspace.packages.source,),
        strength=8,
    )
