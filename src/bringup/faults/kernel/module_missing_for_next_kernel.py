"""The kernel that boots next has no NVIDIA module: the next restart will lose the GPU.

Symptom: nothing fails yet; after the next restart nvidia-smi will not reach the driver.
Reason: A newer kernel is installed, and the NVIDIA module exists for the running one only: DKMS did not
    build it, or the package with the prebuilt module for the new kernel did not come with it.
Sources: https://github.com/voidlinux/void-packages/issues/4651
    https://github.com/negativo17/nvidia-driver/issues/56
Limits: which kernel boots next is worked out from the boot loader's configuration; a choice in its menu is
    not seen.
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Slot, Step

EXPLAINS = ()

STEPS = (
    Step("See for which kernels the module was built.", ("dkms", "status"), Safety.LOOK),
    Step(
        "Build it for the kernel that boots next.",
        ("dkms", "autoinstall", "-k", Slot.KERNEL_RELEASE),
        Safety.SAFE,
        needs_root=True,
        touches="/lib/modules of that kernel",
        undo="dkms uninstall of the same module and version for that kernel",
        verify=("dkms", "status"),
    ),
)
