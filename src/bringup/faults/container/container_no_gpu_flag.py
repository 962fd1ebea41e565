"""The container was started without the GPU.

Symptom: the CUDA image's banner "The NVIDIA Driver was not detected", or no nvidia-smi and no /dev/nvidia0
    inside, while the host works.
Reason: a container sees a GPU only when it is asked for: --gpus all, --runtime=nvidia, a device reservation
    in compose, or a CDI device.
Sources: https://docs.docker.com/engine/containers/gpu/
    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
Limits: old NGC images print the banner on WSL2 although the GPU works.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.reading import Absent, Known
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"(?i)the nvidia driver was not detected\.? +gpu functionality will not be available",
        anchor="driver was not detected",
        example="WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.",
        unless=("wsl", "microsoft"),
    ),
    Sign(
        r"(?i)use (?:the nvidia container toolkit|'?nvidia-docker run'?|docker run --gpus|--gpus).{0,60}"
        r"(?:to start this container|gpu support)",
        anchor="use ",
        example="   Use the NVIDIA Container Toolkit to start this container with GPU support; see",
        certainty=Certainty.LIKELY,
        unless=("wsl", "microsoft"),
    ),
    Sign(
        r"(?i)nvidia-smi\"?: executable file not found in \$PATH",
        anchor="nvidia-smi",
        example='exec: "nvidia-smi": executable file not found in $PATH: unknown.',
    ),
    Sign(
        r"(?i)\bpodman\b",  # its compose passes over deploy.resources without a word
        anchor="podman",
        example="the same file is started with podman-compose",
        certainty=Certainty.LIKELY,
        needs=("reservations:", "driver: nvidia"),
        unless=("cdi device", "could not select", "stat nvidia.com/gpu"),
    ),
)

STORIES = (
    Story((Told.CONTAINER, Told.SMI_MISSING), (Told.WSL,)),
    Story((Told.CONTAINER, Told.GPU_UNSEEN), (Told.WSL, Told.SLEPT, Told.LATER), strength=-5),
)

EXPLAINS = ("no-visible-device", "running-on-cpu", "library-missing", "driver-not-installed")

STEPS = (
    Step("See that the host itself is fine.", ("nvidia-smi",), Safety.LOOK),
    Step(
        "Start it with the GPU: docker run --gpus all, podman run --device nvidia.com/gpu=all; in compose a "
        "device "
        "reservation with driver nvidia and capabilities [gpu].",
        safety=Safety.SAFE,
        touches="how the container is started",
        undo="start it as before",
        verify=("docker", "run", "--rm", "--pull=never", "--gpus", "all", "ubuntu", "nvidia-smi"),
    ),
    Step(
        "If that is refused, NVIDIA's container toolkit is missing: see the fault container-runtime-missing.",
        safety=Safety.LOOK,
    ),
)


def check(scene: Scene) -> Evidence | None:
    """We are in a container without the GPU's files, or a paste shows how it was started."""
    return _by_files(scene) or _by_command(scene)


def _by_files(scene: Scene) -> Evidence | None:
    """The host's module shows in /proc, and this container has no /dev/nvidia*."""
    kernel, container = scene.stack.kernel, scene.stack.container
    if not container.is_inside or not isinstance(kernel.loaded_driver, Known):
        return None
    if not isinstance(kernel.device_files, Absent):
        return None
    asked = container.asked_for
    variable = f"; NVIDIA_VISIBLE_DEVICES={asked.value}" if isinstance(asked, Known) else ""
    return Evidence(
        saw=f"in a container ({container.inside.source}), the host has module "
        f"{kernel.loaded_driver.value.version}, no /dev/nvidia* in here{variable}",
        expected="/dev/nvidiactl and /dev/nvidia0 passed in",
        sources=(kernel.loaded_driver.source, kernel.device_files.source),
        strength=12,
    )


def _by_command(scene: Scene) -> Evidence | None:
    """A docker run line without any word for the GPU, and inside a program that finds none."""
    hit = scene.lines.search(
        r"\b(?:docker|podman) (?:container )?run\b(?!.*(?:--gpus|nvidia))", anchor=" run"
    )
    if hit is None or scene.lines.has_any("--gpus", "runtime=nvidia", "nvidia.com/gpu", "could not select"):
        return None
    words = (
        "libcuda.so.1: cannot open",
        "nvidia-smi: command not found",
        "nvidia-smi: not found",
        "nvidia-smi not found",
        "no cuda-capable device",
        "found no nvidia driver",
    )
    if not scene.lines.has_any(*words):
        return None
    line, _ = hit
    return Evidence(
        saw=line.text.strip()[:200],
        expected="--gpus all on the line that starts the container",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.LIKELY,
        decides="nvidia-smi on the host; docker inspect of the container (HostConfig.DeviceRequests)",
        strength=5,
    )
