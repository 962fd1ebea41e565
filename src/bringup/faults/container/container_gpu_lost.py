"""A running container has lost its right to the device.

Symptom: "Failed to initialize NVML: Unknown Error" in a container that had worked; the host and new
    containers are fine.
Reason: the device rules of the container's cgroup were replaced without NVIDIA's devices: systemctl daemon-
    reload with systemd as cgroup driver, or Kubernetes' CPU manager updating the container. Opening
    /dev/nvidiactl gives EPERM.
Sources: https://github.com/NVIDIA/nvidia-container-toolkit/issues/251
    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.reading import Known
from bringup.stack.nvml_errors import UNKNOWN
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"open(?:at)?\(.{0,20}\"/dev/nvidia(?:ctl|\d{1,10}|-uvm)\".{0,60}EPERM",
        anchor="eperm",
        example='open("/dev/nvidiactl", O_RDWR) = -1 EPERM (Operation not permitted)',
    ),
)

STORIES = (
    Story(
        (Told.CONTAINER, Told.RESTART_HELPS, Told.GPU_GONE),
        decides="docker exec NAME nvidia-smi",
        unless=(Told.WSL, Told.SLEPT),
    ),
    Story(
        (Told.CONTAINER, Told.LATER, Told.GPU_GONE),
        decides="docker exec NAME nvidia-smi",
        unless=(Told.WSL, Told.SLEPT),
        strength=-3,
    ),
)

EXPLAINS = ("no-visible-device", "running-on-cpu")

STEPS = (
    Step("See that the host itself is fine.", ("nvidia-smi",), Safety.LOOK),
    Step(
        "Restart the container: it gets its device rules again.",
        safety=Safety.DISRUPTIVE,
        touches="that container",
        undo="none needed",
    ),
    Step(
        "For good: pass the devices in a way that the engine knows (CDI: --device nvidia.com/gpu=all, or "
        "--device "
        "/dev/nvidia0 and the control devices), or set the cgroup driver to cgroupfs.",
        safety=Safety.SAFE,
        touches="how the container is started",
        undo="start it as before",
    ),
    Step(
        "Make the device's links that systemd looks for.",
        ("nvidia-ctk", "system", "create-dev-char-symlinks", "--create-all"),
        Safety.SAFE,
        needs_root=True,
        touches="/dev/char",
        undo="delete the links",
        verify=("ls", "-l", "/dev/char"),
    ),
)


_OTHERS = ("nvrm: xid", "fallen off the bus", "/dev/dxg")


def check(scene: Scene) -> Evidence | None:
    """NVML's unknown error where a container is, or may be: told by facts, by a device list, by the words."""
    return _by_facts(scene) or _by_rules(scene) or _by_words(scene)


def _by_facts(scene: Scene) -> Evidence | None:
    """We are in a container that has the device files, and NVML says no more than unknown error."""
    error, files = scene.stack.nvml.error, scene.stack.kernel.device_files
    if not scene.stack.container.is_inside or not isinstance(error, Known) or not isinstance(files, Known):
        return None
    if error.value.code != UNKNOWN:
        return None
    return Evidence(
        saw=f"NVML says {error.value.words} in a container that has {files.value[0].path}",
        expected="the right to open the device files",
        sources=(error.source, files.source),
        strength=10,
    )


def _by_words(scene: Scene) -> Evidence | None:
    """The words alone, where nobody knows that this is no container."""
    inside = scene.stack.container.inside
    hit = scene.lines.search(
        r"(?i)failed to initialize nvml: unknown error", anchor="failed to initialize nvml: unknown error"
    )
    if hit is None or scene.lines.has_any(*_OTHERS) or isinstance(inside, Known):
        return None
    return Evidence(
        saw=hit[0].text.strip()[:300],
        expected="no such line",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        certainty=Certainty.LIKELY,
        decides="nvidia-smi on the host, and whether this container had worked before",
    )


def _by_rules(scene: Scene) -> Evidence | None:
    """NVML's unknown error, and a device list of the cgroup without read and write for major 195."""
    if not scene.lines.has("unknown error") or not scene.lines.has("devices.list"):
        return None
    rules = [line for line in scene.lines.lines if line.text.lstrip().startswith("c ")]
    ours = [line for line in rules if " 195:" in line.text]
    if not rules or (ours and "rw" in ours[-1].text):
        return None
    saw = ours[-1].text.strip() if ours else "no rule for major 195 (NVIDIA) in the cgroup's device list"
    where = ours[-1] if ours else rules[-1]
    return Evidence(saw, "c 195:* rw", (f"{where.source}, line {where.number}",), strength=10)
