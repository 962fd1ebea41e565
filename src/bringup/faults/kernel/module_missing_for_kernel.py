"""The running kernel has no NVIDIA module.

Symptom: "modprobe: FATAL: Module nvidia not found in directory /lib/modules/..."; nvidia-smi cannot
    communicate.
Reason: The kernel was changed and the driver's module exists only for another one: DKMS did not build it,
    or the package with the prebuilt module for this kernel is not installed.
Sources: https://github.com/compiler-explorer/infra/issues/1413
    https://github.com/NVIDIA/nvidia-docker/issues/365
    https://github.com/negativo17/nvidia-driver/issues/56
Limits: where no driver is installed at all, `driver-not-installed` says so.
"""

from __future__ import annotations

from bringup.faults._fault import NVIDIA_SMI_WORKS, Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import BUILD, LOAD
from bringup.faults.kernel._driver import has_own_kernel, is_driver_expected, is_wsl
from bringup.faults.kernel._missing import judge_dkms, missing_steps
from bringup.reading import Known
from bringup.stack.told import Told

_NO_DRIVER = (
    "nvidia-smi: command not found",
    "command 'nvidia-smi' not found",
    "nvidia-smi: not found",
    "3.4.0+",
    "microsoft-standard",
)
"""Anchors of a machine without any driver, or of WSL, which needs no module."""

SIGNS = (
    Sign(
        r"(?i)(?:module|modprobe: fatal:) '?nvidia(?:[-_](?:drm|modeset|current|open))?'? not found",
        anchor="not found",
        example="modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.0-1015-aws",
        unless=_NO_DRIVER,
    ),
    Sign(
        r"could not find module by name[= ]'nvidia",
        anchor="could not find module by name",
        example="modprobe: ERROR: could not find module by name='nvidia'",
        unless=_NO_DRIVER,
    ),
    Sign(
        r"(?i)module not found: [`']nvidia",
        anchor="module not found: ",
        example="==> ERROR: module not found: 'nvidia'",
    ),
    Sign(
        r"Failed to find module 'nvidia",
        anchor="failed to find module 'nvidia",
        example="systemd-modules-load[331]: Failed to find module 'nvidia-uvm'",
    ),
    Sign(
        r"^nvidia(?:-\w{1,40})?[/,]\s?\d[\w.+-]+(?::| |,)\s?added\s*$",
        anchor="added",
        example="nvidia-open/570.124.06: added",
    ),
    Sign(
        r"NVIDIA kernel module (?:missing|not found)",
        anchor="nvidia kernel module",
        example="NVIDIA kernel module missing. Falling back to nouveau.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"nvidia(?:-\w{1,40})?\.ko(?:\.\w{1,40})? not found|/nvidia\.ko.{0,20}: No such file",
        anchor="nvidia",
        example="modinfo: ERROR: Module /usr/lib/modules/5.14.21/kernel/drivers/video/nvidia.ko not found.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)module '?nvidia[-_]uvm'? not found",
        anchor="not found",
        example="modprobe: FATAL: Module nvidia-uvm not found in directory /lib/modules/6.8.0-1015-aws",
        unless=(*_NO_DRIVER, "cuinit failed: unknown"),
    ),
    Sign(
        r"could not insert .{0,9}?\S{0,80}nvidia[\w.-]{0,12}.{0,2}: (?:Exec format error|Invalid argument"
        r"|Invalid module format|Unknown symbol in module)",
        anchor="could not insert",
        example="modprobe: ERROR: could not insert 'nvidia': Exec format error",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bnvidia\w{0,12}: (?:version magic|disagrees about version of symbol)",
        anchor="version ",
        example="nvidia: version magic '6.8.0-40-generic SMP' should be '6.8.0-45-generic SMP'",
        certainty=Certainty.LIKELY,
    ),
)

_LOAD = (
    "sudo modprobe nvidia: 'not found' is this fault, 'Key was rejected' is Secure Boot, 'No such device' a"
    " card that does not answer or does not fit the driver"
)

STORIES = (
    Story((Told.KERNEL_CHANGED, Told.DRIVER_SILENT), (Told.WSL,), _LOAD),
    Story((Told.NVIDIA, Told.KERNEL_CHANGED, Told.NO_PICTURE), (Told.WSL,), _LOAD),
    Story((Told.NVIDIA, Told.OLD_KERNEL_WORKS), (Told.WSL,), _LOAD),
    Story((Told.SYSTEM_UPDATED, Told.DRIVER_SILENT), (Told.WSL, Told.CONTAINER), _LOAD, strength=-4),
    Story(
        (Told.NVIDIA, Told.SYSTEM_UPDATED, Told.NO_PICTURE), (Told.WSL, Told.CONTAINER), _LOAD, strength=-4
    ),
    Story((Told.RESTARTED, Told.SMI_CANNOT_REACH), (Told.WSL, Told.CONTAINER), _LOAD, strength=-5),
)

OVER = (NVIDIA_SMI_WORKS,)

EXPLAINS = (
    "module-not-loaded",
    "nouveau-in-use",
    "uvm-not-loaded",
    "device-nodes-missing",
    "driver-not-installed",
    "no-visible-device",
    "container-runtime-missing",
    "running-on-cpu",
)

STEPS = (
    Step(
        "Compare: the running kernel, and for which kernels the module was built.",
        ("dkms", "status"),
        Safety.LOOK,
    ),
    BUILD,
    Step(
        "On Ubuntu without DKMS: install the prebuilt module package of this kernel "
        "(linux-modules-nvidia-<branch>-<flavour>).",
        touches="one package",
        undo="remove the package",
        only="ubuntu",
    ),
    LOAD,
)


def check(scene: Scene) -> Evidence | None:
    """A driver is installed, and the running kernel has no module: its folder is gone, or holds none."""
    kernel = scene.stack.kernel
    if not isinstance(kernel.release, Known) or is_wsl(scene) or isinstance(kernel.loaded_driver, Known):
        return None
    release = kernel.release.value
    if not isinstance(kernel.kernels, Known):
        return judge_dkms(scene)
    is_wanted = is_driver_expected(scene) and scene.stack.hardware.nvidia_devices
    if not is_wanted or not has_own_kernel(scene):
        return None
    running = kernel.running
    if running is not None and running.modules:
        return None
    others = [str(item.release) for item in kernel.kernels.value if item.modules]
    return Evidence(
        saw=f"no NVIDIA module for the running kernel {release}"
        + (f"; one for {', '.join(others)}" if others else "")
        + ("; the folder of the running kernel is gone" if running is None else ""),
        expected=f"nvidia.ko below /lib/modules/{release}",
        sources=(kernel.release.source, kernel.kernels.source),
        steps=missing_steps(scene),
        strength=10,
    )
