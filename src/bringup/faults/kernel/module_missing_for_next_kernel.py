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

from bringup.faults._fault import Evidence, Safety, Slot, Step
from bringup.faults._scene import Scene
from bringup.faults.kernel._steps import any_other_has_module, module_steps
from bringup.reading import Known

IS_AHEAD = True

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


def check(scene: Scene) -> Evidence | None:
    """The kernel that boots next has no module, and the running one (of a mounted disk: another) has."""
    kernel = scene.stack.kernel
    coming = kernel.coming
    if coming is None or coming.modules or not isinstance(kernel.next_kernel, Known):
        return None
    if coming == kernel.running or not any_other_has_module(scene):
        return None
    needs_headers = isinstance(coming.has_headers, Known) and not coming.has_headers.value
    return Evidence(
        saw=f"the next start takes {coming.release} ({kernel.next_kernel.value.rule}), without NVIDIA module"
        + ("; its headers are absent too" if needs_headers else ""),
        expected=f"nvidia.ko below /lib/modules/{coming.release}",
        sources=(kernel.next_kernel.source, f"/lib/modules/{coming.release}"),
        steps=module_steps(scene, coming),
        values=((Slot.KERNEL_RELEASE, coming.release.text),),
        strength=5,
    )
