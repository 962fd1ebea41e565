"""This user may not open the GPU's device files.

Symptom: root reaches the GPU, this user does not: "Insufficient Permissions", "(Permission denied)" on
    /dev/nvidia*.
Reason: The files belong to a group (video, render) that this user is not in, or whose membership a
    container's user namespace takes away; their mode keeps others out.
Sources: https://wiki.archlinux.org/title/Users_and_groups
    https://download.nvidia.com/XFree86/Linux-x86_64/435.17/README/faq.html
Limits: EPERM ("Operation not permitted") in a container means device rules of its cgroup, not these modes.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.listings import listed_devices, listed_identity
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"(?:Failed to initialize NVML|the device handle for .{0,60}): Insufficient Permissions",
        anchor=": insufficient permissions",
        example="Failed to initialize NVML: Insufficient Permissions",
    ),
    Sign(
        r"/dev/nvidia[\w-]*\W.{0,60}[Pp]ermission denied",
        anchor="permission denied",
        example="NVIDIA: could not open the device file /dev/nvidiactl (Permission denied).",
    ),
    Sign(
        r"/dev/nvidia[\w-]*\".{0,60}EACCES",
        anchor="eacces",
        example='openat(AT_FDCWD, "/dev/nvidiactl", O_RDWR|O_CLOEXEC) = -1 EACCES (Permission denied)',
    ),
    Sign(
        r"/dev/dri/\w{1,40}\W.{0,60}[Pp]ermission denied",
        anchor="/dev/dri/",
        example="failed to open /dev/dri/renderD128: Permission denied",
        certainty=Certainty.LIKELY,
        unless=("/dev/kfd", "amdgpu", "rocm", "amd-smi", "radeon"),
    ),
    Sign(
        r"NVML_ERROR_NO_PERMISSION|NVMLError_NoPermission",
        anchor="permission",
        example="pynvml.NVMLError_NoPermission: Insufficient Permissions",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)nvml(?: error)?: insufficient permissions",
        anchor="insufficient permissions",
        example="nvidia-container-cli: initialization error: nvml error: insufficient permissions: unknown.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)(?:nvml|cuda).{0,30}initializ.{0,30}insufficient permissions",
        anchor="insufficient permissions",
        example="nv pynvml could not be initialized Insufficient Permissions",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^crw-rw----[.+]? .{0,60}/dev/nvidia(?:ctl|0)\b",
        anchor="crw-rw----",
        example="crw-rw---- 1 root video 195, 0 10-20 21:39 /dev/nvidia0",
        certainty=Certainty.LIKELY,
        needs=("cuda",),
    ),
)

STORIES = (
    Story((Told.NVIDIA, Told.ROOT_ONLY, Told.GPU_UNSEEN), decides="ls -l /dev/nvidia0"),
    Story((Told.ROOT_ONLY, Told.DRIVER_SILENT), decides="ls -l /dev/nvidia0"),
    Story((Told.NVIDIA, Told.NO_RIGHT), decides="ls -l /dev/nvidia0"),
)

EXPLAINS = ("uvm-not-loaded", "no-visible-device", "running-on-cpu")

STEPS = (
    Step(
        "See the mode and the group of the files.",
        ("ls", "-l", "/dev/nvidiactl", "/dev/nvidia0"),
        Safety.LOOK,
    ),
    Step("See your groups.", ("id",), Safety.LOOK),
    Step(
        "Have root add you to that group (gpasswd -a YOU video), then log in anew.",
        touches="/etc/group",
        undo="gpasswd -d YOU video",
        verify=("nvidia-smi",),
    ),
    Step(
        "Rootless containers: keep the groups (podman run --group-add keep-groups).",
        touches="how the container is started",
        undo="leave the option out",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A device file whose mode keeps this user out."""
    return _by_facts(scene) or _by_listing(scene)


def _by_listing(scene: Scene) -> Evidence | None:
    """A listing of device files, and `id` of a user whom they keep out; without it, a mode for nobody."""
    identity = listed_identity(scene.lines)
    for device in listed_devices(scene.lines):
        if device.may_use(identity):
            continue
        whom = f"user {identity.names[-1]}, who is not in that group" if identity is not None else "its group"
        return Evidence(
            saw=f"{device.name} has mode {device.mode} and group {device.group}, which keeps out {whom}",
            expected="a mode or a group that lets this user read and write",
            sources=(f"{device.line.source}, line {device.line.number}",),
            certainty=Certainty.LIKELY,
            decides="ls -l /dev/nvidiactl /dev/nvidia0",
        )
    return None


def _by_facts(scene: Scene) -> Evidence | None:
    kernel = scene.stack.kernel
    if not isinstance(kernel.device_files, Known) or not isinstance(kernel.own_groups, Known):
        return None
    for file in kernel.device_files.value:
        if not kernel.own_groups.value.may_use(file):
            return Evidence(
                saw=f"{file.path} has mode {file.mode:o} and group {file.group_id}, which user "
                f"{kernel.own_groups.value.user_id} is not in",
                expected="a mode or a group that lets this user read and write",
                sources=(file.path, kernel.own_groups.source),
                strength=10,
            )
    return None
