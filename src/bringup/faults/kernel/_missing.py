"""A kernel without an NVIDIA module: from DKMS's list alone, and the steps for this machine."""

from __future__ import annotations

from bringup.faults._fault import Evidence, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import LOAD, REBOOT
from bringup.faults.kernel._driver import CANNOT_REACH
from bringup.faults.kernel._steps import module_steps
from bringup.reading import Known
from bringup.stack.dkms import DkmsState


def judge_dkms(scene: Scene) -> Evidence | None:
    """`dkms status` lists the driver as installed for other kernels only, and nvidia-smi cannot reach it."""
    kernel = scene.stack.kernel
    if not isinstance(kernel.dkms, Known) or not isinstance(kernel.release, Known):
        return None
    release = kernel.release.value
    installed = [m for m in kernel.dkms.value if m.state is DkmsState.INSTALLED and m.kernel is not None]
    if not installed or any(m.kernel == release for m in installed) or not scene.lines.has(CANNOT_REACH):
        return None
    others = ", ".join(str(m.kernel) for m in installed)
    return Evidence(
        saw=f"the running kernel is {release}, the module is installed for {others}",
        expected=f"installed for {release}",
        sources=(kernel.release.source, kernel.dkms.source),
        strength=10,
    )


def missing_steps(scene: Scene) -> tuple[Step, ...]:
    """Restart where the next kernel has a module; else headers, build and load for the running one."""
    kernel = scene.stack.kernel
    running, coming = kernel.running, kernel.coming
    if running is None and coming is not None and coming.modules:
        return (REBOOT,)
    target = running if running is not None else coming
    if target is None:
        return ()
    return (*module_steps(scene, target), LOAD if running is not None else REBOOT)
