"""The loaded NVIDIA kernel module and the driver's libraries are of different versions.

Symptom: "Failed to initialize NVML: Driver/library version mismatch", "NVRM: API mismatch"; every new GPU
    program fails.
Reason: The module in the kernel and the libraries on the disk must be of exactly one version. An upgrade
    replaced the files while the old module stayed loaded, so programs that start now bring libraries that
    the module refuses.
Sources: https://github.com/canonical/ubuntu-server-documentation/pull/369
    https://github.com/NVIDIA/nvidia-docker/issues/182
    https://github.com/illinois-scicomp/machine-shop-maintenance/issues/70
    https://github.com/tinygrad/open-gpu-kernel-modules/issues/47
    https://github.com/NVIDIA/open-gpu-kernel-modules (nvidia-modeset: Version mismatch)
Limits: where the module on the disk differs from the libraries too, a restart does not cure it.
"""

from __future__ import annotations

from bringup.faults._fault import NVIDIA_SMI_WORKS, Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._mismatch import has_fitting_library, judge_disk, judge_failure, judge_mismatch
from bringup.records import replace

SIGNS = (
    Sign(
        r"LibRmVersionMismatch",
        anchor="librmversionmismatch",
        example="pynvml.NVMLError_LibRmVersionMismatch: RM has detected an NVML/RM version mismatch.",
    ),
    Sign(
        r"RM has detected an NVML/RM version mismatch",
        anchor="nvml/rm version mismatch",
        example="RM has detected an NVML/RM version mismatch.",
    ),
    Sign(
        r"(?i)nvml.{0,40}init failure: 18\b|nvmlInit\w{0,4} err: 18\b",
        anchor="18",
        example="nvml init failure: 18",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"LIB_RM_VERSION_MISMATCH",
        anchor="lib_rm_version_mismatch",
        example="Incompatible platform: failed to initialize NVML: ERROR_LIB_RM_VERSION_MISMATCH",
    ),
    Sign(
        r"kernel version [\d.]+ does not match DSO version",
        anchor="does not match dso version",
        example="kernel version 570.169.0 does not match DSO version 570.172.8 -- cannot find working"
        " devices",
    ),
    Sign(
        r"nvidia-modeset: .{0,20}Version mismatch: nvidia\S{0,12}\([\d.]+\)",
        anchor="version mismatch: nvidia",
        example="nvidia-modeset: Version mismatch: nvidia.ko(378.13) nvidia-modeset(375.26)",
    ),
)

OVER = (NVIDIA_SMI_WORKS,)

EXPLAINS = (
    "driver-upgrade-awaits-reboot",
    "uvm-not-loaded",
    "uvm-hmm-init-error",
    "gsp-firmware-failed",
    "fabric-manager-missing",
    "container-nvml-mismatch",
    "cuda-compat-mismatch",
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step("See the version of the loaded module.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    Step("See the version of the module on the disk.", ("modinfo", "-F", "version", "nvidia"), Safety.LOOK),
    replace(REBOOT, say="Same version on the disk as the libraries: restart, and the new module is loaded."),
    Step(
        "Another version on the disk: finish the half-done upgrade first, then restart.",
        ("apt-get", "install", "--fix-broken"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="packages",
        undo="install the former version of the same packages",
        verify=("modinfo", "-F", "version", "nvidia"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Compare the loaded module with the library that programs get, else look for a program that failed."""
    if has_fitting_library(scene):
        return None
    return judge_mismatch(scene) or judge_disk(scene) or judge_failure(scene)
