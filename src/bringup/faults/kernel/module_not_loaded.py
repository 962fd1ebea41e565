"""The NVIDIA kernel module is there for this kernel but not loaded.

Symptom: nvidia-smi cannot communicate with the driver, lsmod shows no nvidia, and modprobe would find the
    module.
Reason: Something keeps the module from loading at boot: a blacklist line in modprobe.d, an initramfs of an
    older day, or nothing asked for it. Loading it by hand says at once whether it works.
Sources: https://github.com/mattshma/bigdata/issues/133
    https://wiki.archlinux.org/title/Kernel_module
Limits: a module that refuses to load has another fault, which then stands first.
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Sign, Step

SIGNS = (
    Sign(
        r"^\s{0,8}blacklist\s+nvidia(?:[-_]current)?\s*$",
        anchor="blacklist nvidia",
        example="blacklist nvidia",
        needs=("nvidia-smi has failed",),
    ),
    Sign(
        r"Module '?nvidia'? is blacklisted|Module .?nvidia.? is deny-?listed",
        anchor="listed",
        example="systemd-modules-load[312]: Module 'nvidia' is deny-listed (by kmod)",
    ),
)

EXPLAINS = (
    "device-nodes-missing",
    "uvm-not-loaded",
    "no-visible-device",
    "container-runtime-missing",
    "running-on-cpu",
)

STEPS = (
    Step(
        "Look for a line that keeps it away.",
        ("grep", "-rn", "nvidia", "/etc/modprobe.d", "/lib/modprobe.d"),
        Safety.LOOK,
    ),
    Step(
        "Load the module now.",
        ("modprobe", "nvidia"),
        Safety.SAFE,
        needs_root=True,
        undo="modprobe -r nvidia",
        touches="the running kernel",
        verify=("nvidia-smi",),
    ),
    Step(
        "Load the memory module too (CUDA needs it).",
        ("modprobe", "nvidia_uvm"),
        Safety.SAFE,
        needs_root=True,
        undo="modprobe -r nvidia_uvm",
        touches="the running kernel",
        verify=("nvidia-smi",),
    ),
    Step(
        "If a blacklist line names nvidia, delete that line and rebuild the initramfs, so that it loads"
        " at boot.",
        safety=Safety.RISKY,
        touches="/etc/modprobe.d, the initramfs",
        undo="put the line back and rebuild the initramfs",
    ),
)
