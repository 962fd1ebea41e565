"""The fabric manager of an NVSwitch machine does not run, so CUDA cannot start.

Symptom: CUDA error 802 "system not yet initialized" on SXM cards although nvidia-smi is fine; the service
    failed.
Reason: Cards behind NVSwitch are joined by the nvidia-fabricmanager service before CUDA may use them, and
    it must be of exactly the driver's version. It is not installed, not running, or of another version.
Sources: https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/index.html
    https://github.com/pytorch/pytorch/issues/35710
    https://github.com/aws-samples/aws-deep-learning-ami-ubuntu-dcv-desktop/issues/33
Limits: on a machine without NVSwitch the service ends with NV_WARN_NOTHING_TO_DO, which is healthy.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import cuda_starts, loaded_version
from bringup.reading import Absent, Known, need
from bringup.stack.version import DriverVersion

SIGNS = (
    Sign(
        r"[Ff]abric manager NVIDIA GPU driver interface version \S{1,80} don't match with driver version",
        anchor="don't match with driver version",
        example="fabric manager NVIDIA GPU driver interface version 550.127.05 don't match with driver"
        " version 550.120.",
    ),
    Sign(
        r"(?i)system not yet initialized",
        anchor="system not yet initialized",
        example="ggml_cuda_init: failed to initialize CUDA: system not yet initialized",
    ),
    Sign(
        r"cudaErrorSystemNotReady",
        anchor="cudaerrorsystemnotready",
        example="CUDA error at bandwidthTest.cu:256 code=802(cudaErrorSystemNotReady)"
        ' "cudaSetDevice(currentDevice)"',
    ),
    Sign(
        r"CUDA_ERROR_SYSTEM_NOT_READY",
        anchor="cuda_error_system_not_ready",
        example="RuntimeError: cuInit failed: CUDA_ERROR_SYSTEM_NOT_READY",
    ),
    Sign(
        r"(?:cuInit err|init failure|CUDA error|Error|error code)[: =]{1,3}\(?802\b",
        anchor="802",
        example="nvcuda init failure: 802",
    ),
    Sign(
        r"nvidia-fabricmanager/socket: no such file",
        anchor="nvidia-fabricmanager/socket",
        example="open /run/nvidia-fabricmanager/socket: no such file or directory",
    ),
    Sign(
        r"nvidia-fabricmanager\.service: Failed with result|nvidia-fabricmanager\.service: Control"
        r" process exited.{0,40}FAILURE",
        anchor="nvidia-fabricmanager.service:",
        example="nvidia-fabricmanager.service: Failed with result 'exit-code'.",
        unless=("nv_warn_nothing_to_do",),
    ),
    Sign(
        r"Fabric\s*State\s*:\s*In Progress",
        anchor="in progress",
        example="        Fabric State : In Progress",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^\s*State\s*:\s*In Progress",
        anchor="in progress",
        example="        State                             : In Progress",
        needs=("fabric",),
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)fabric manager .{0,60}version .{0,40}(?:don't|doesn't|does not|do not) match",
        anchor="abric manager",
        example="fabric manager NVIDIA GPU interface version 550.54.15 don't match with driver version"
        " 550.90.07",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("no-visible-device", "running-on-cpu")

STEPS = (
    Step("See what the service says.", ("systemctl", "status", "nvidia-fabricmanager.service"), Safety.LOOK),
    Step(
        "Install the fabric manager of exactly the driver's version, from the repository that the driver"
        " came from.",
        touches="one package",
        verify=("systemctl", "status", "nvidia-fabricmanager.service"),
        undo="remove the package",
    ),
    Step(
        "Start it now and at each boot.",
        ("systemctl", "enable", "--now", "nvidia-fabricmanager.service"),
        Safety.SAFE,
        needs_root=True,
        undo="systemctl disable --now nvidia-fabricmanager.service",
        touches="one service",
        verify=("nvidia-smi", "-q", "-d", "FABRIC"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """There are NVSwitches, and the service that joins the cards is missing, still or of another version."""
    userspace, loaded = scene.stack.userspace, loaded_version(scene)
    switches = need(userspace.switches)
    if not switches or loaded is None or cuda_starts(scene):
        return None
    manager, version = userspace.fabric_manager, _package_version(scene)
    if isinstance(manager, Absent):
        saw = "no fabric manager is installed"
    elif version is not None and not version.fits(loaded):
        saw = f"the fabric manager is of {version}, the module of {loaded}"
    elif isinstance(manager, Known) and need(manager.value.is_running) is False:
        saw = "the fabric manager does not run"
    else:
        return None
    return Evidence(
        saw=f"{switches} NVSwitch(es); {saw}",
        expected=f"nvidia-fabricmanager of {loaded}, running",
        sources=(userspace.switches.source, manager.source),
        strength=10,
    )


def _package_version(scene: Scene) -> DriverVersion | None:
    packages = scene.stack.userspace.packages
    names = packages.value if isinstance(packages, Known) else ()
    return next((one.driver_version for one in names if "fabricmanager" in one.name), None)
