"""The container toolkit meets a host whose driver halves do not fit.

Symptom: "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch" at docker
    run.
Reason: the toolkit runs on the host and asks the host's NVML. The host's libraries were upgraded while the
    old kernel module is still loaded; containers show it first, nvidia-smi on the host says the same.
Sources: https://github.com/labdao/plex/issues/18
    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html
Limits: if nvidia-smi on the host works, the image brings a driver of its own (container-bundled-driver).
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Sign, Step
from bringup.faults._steps import REBOOT
from bringup.records import replace

SIGNS = (
    Sign(
        r"(?i)nvml error: driver/library version mismatch",
        anchor="nvml error: driver/library version mismatch",
        example="nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: "
        "unknown.",
    ),
    Sign(
        r"(?i)nvidia-docker \| .{0,60}nvml: driver/library version mismatch",
        anchor="nvml: driver/library version mismatch",
        example="nvidia-docker | 2017/12/21 05:04:46 Error: nvml: Driver/library version mismatch",
    ),
)

EXPLAINS = ("running-on-cpu", "no-visible-device")

STEPS = (
    Step(
        "Ask the host: the same message there means that the host is the cause.", ("nvidia-smi",), Safety.LOOK
    ),
    Step("See the version of the loaded module.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    replace(REBOOT, say="Reboot the host, so that the module of the new version is loaded."),
)
