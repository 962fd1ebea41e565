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

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

SIGNS = (
    Sign(
        r"(?i)failed to initialize nvml: unknown error",
        anchor="failed to initialize nvml: unknown error",
        example="Failed to initialize NVML: Unknown Error",
        certainty=Certainty.LIKELY,
        unless=("nvrm: xid", "fallen off the bus", "/dev/dxg"),
    ),
    Sign(
        r"open(?:at)?\(.{0,20}\"/dev/nvidia(?:ctl|\d+|-uvm)\".{0,60}EPERM",
        anchor="eperm",
        example='open("/dev/nvidiactl", O_RDWR) = -1 EPERM (Operation not permitted)',
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
    ),
)


def check(scene: Scene) -> Evidence | None:
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
