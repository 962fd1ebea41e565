"""The device files /dev/nvidia* are not there although the driver is loaded.

Symptom: "could not open the device file /dev/nvidiactl (No such file or directory)"; /dev holds no nvidia
    files.
Reason: The module registers the devices, but somebody has to make the files: udev, nvidia-modprobe or the
    persistence daemon. None of them did, or an old rule looks for a name that the module no longer uses.
Sources: https://github.com/NVIDIA/nvidia-modprobe
    https://docs.nvidia.com/cuda/cuda-installation-guide-linux/
Limits: without a loaded module the files cannot be there; then that is the fault.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.kernel._driver import has_own_kernel
from bringup.reading import Absent, Known
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"mknod .{0,120}/dev/nvidia.{0,120}failed",
        anchor="mknod ",
        example="nvidia: Process '/bin/bash -c 'mknod -m 666 /dev/nvidiactl c $(grep nvidia-frontend"
        " /proc/devices) 255'' failed with exit code 1.",
    ),
    Sign(
        r"could not open the device file /dev/nvidia\w{0,40} \(No such file or directory\)",
        anchor="could not open the device file /dev/nvidia",
        example="NVIDIA: could not open the device file /dev/nvidiactl (No such file or directory).",
    ),
    Sign(
        r"/dev/nvidia(?:ctl|\d{1,10}|\*)'?\W.{0,40}[Nn]o such (?:file|device)",
        anchor="/dev/nvidia",
        example="ls: cannot access '/dev/nvidia*': No such file or directory",
        certainty=Certainty.LIKELY,
        unless=("nvidia-smi: command not found", "cdi"),
    ),
    Sign(
        r"/dev/nvidia(?:ctl|\d{1,10})\".{0,60}ENOENT",
        anchor="enoent",
        example='openat(AT_FDCWD, "/dev/nvidiactl", O_RDWR) = -1 ENOENT (No such file or directory)',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"custom device .?/dev/nvidia[\w-]*.{0,3}: no such file",
        anchor="custom device",
        example='error gathering device information while adding custom device "/dev/nvidia0": no such'
        " file or directory",
    ),
)

STORIES = (Story((Told.NVIDIA, Told.NO_NODES), decides="ls -l /dev/nvidia0", strength=-1),)

EXPLAINS = ("uvm-not-loaded", "no-visible-device", "container-runtime-missing", "running-on-cpu")

STEPS = (
    Step(
        "See what is there.", ("ls", "-l", "/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm"), Safety.LOOK
    ),
    Step(
        "Make the files (and load the memory module).",
        ("nvidia-modprobe", "-c", "0", "-u"),
        Safety.SAFE,
        needs_root=True,
        undo="none needed: they are gone after the next boot",
        touches="/dev",
        verify=("nvidia-smi",),
    ),
    Step(
        "To have them at each boot, run the persistence daemon.",
        ("systemctl", "enable", "--now", "nvidia-persistenced.service"),
        Safety.SAFE,
        needs_root=True,
        undo="systemctl disable --now nvidia-persistenced.service",
        touches="one service",
        verify=("ls", "-l", "/dev/nvidiactl"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The module is loaded and /dev holds none of its files."""
    kernel = scene.stack.kernel
    is_bare = isinstance(kernel.device_files, Absent) and has_own_kernel(scene)
    if not isinstance(kernel.loaded_driver, Known) or not is_bare:
        return None
    return Evidence(
        saw=f"module {kernel.loaded_driver.value.version} is loaded, no /dev/nvidia* is there",
        expected="/dev/nvidiactl and /dev/nvidia0",
        sources=(kernel.loaded_driver.source, kernel.device_files.source),
        certainty=Certainty.LIKELY,
        decides="nvidia-smi: where it may start nvidia-modprobe, it makes the files itself",
        strength=5,
    )
