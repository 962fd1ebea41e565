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

from bringup.faults._fault import NVIDIA_SMI_WORKS, Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import LOAD, LOAD_UVM
from bringup.faults.kernel._driver import CANNOT_REACH, has_other_cause, is_built_for_running, is_wsl
from bringup.reading import Known, Unreadable
from bringup.records import replace
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"^\s{0,8}blacklist nvidia(?:[-_]current)?\s*$",
        anchor="blacklist",
        example="blacklist nvidia",
        needs=("nvidia-smi has failed",),
    ),
    Sign(
        r"\bNVIDIA driver is not loaded\b",
        anchor="nvidia driver is not loaded",
        example="ERROR: NVIDIA driver is not loaded",
        certainty=Certainty.LIKELY,
        unless=("not found in directory", "bad return status"),
    ),
    Sign(
        r"kernel driver does not appear to be running on this host",
        anchor="kernel driver does not appear to be running",
        example="kernel driver does not appear to be running on this host (box): /proc/driver/nvidia/version"
        " does not exist",
        certainty=Certainty.LIKELY,
        needs=("/proc/driver/nvidia/version does not exist",),
        unless=("not found in directory", "library 'libcuda", "microsoft", "wsl"),
    ),
    Sign(
        r"Module '?nvidia'? is blacklisted|Module .?nvidia.? is deny-?listed",
        anchor="listed",
        example="systemd-modules-load[312]: Module 'nvidia' is deny-listed (by kmod)",
    ),
    Sign(
        r"Error running install command (?:'\S{1,40}' )?for (?:module )?'?nvidia",
        anchor="error running install command",
        example="modprobe: ERROR: ../libkmod/libkmod-module.c:968 command_do() Error running install command"
        " for nvidia",
    ),
    Sign(
        r"(?<!# )(?<!#)\binstall nvidia(?:[-_]current)? /bin/(?:false|true)\b",
        anchor="install nvidia",
        example="install nvidia /bin/false",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (
    Story((Told.NVIDIA, Told.NOT_LOADED), (Told.WSL, Told.CONTAINER), "sudo modprobe nvidia", strength=-4),
)

OVER = (NVIDIA_SMI_WORKS,)

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
    LOAD,
    replace(LOAD_UVM, say="Load the memory module too (CUDA needs it).", verify=("nvidia-smi",)),
    Step(
        "If a blacklist line names nvidia, delete that line and rebuild the initramfs, so that it loads"
        " at boot.",
        safety=Safety.RISKY,
        touches="/etc/modprobe.d, the initramfs",
        undo="put the line back and rebuild the initramfs",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A card and a module for this kernel are there, and none is loaded; or NVML says so in a text."""
    return _by_facts(scene) or _by_words(scene)


def _by_words(scene: Scene) -> Evidence | None:
    """NVML's own word that no module is loaded, where no list of modules is known and nothing says why."""
    kernel = scene.stack.kernel
    if isinstance(kernel.modules, Known) or is_wsl(scene) or has_other_cause(scene):
        return None
    hit = scene.lines.search(r"(?i)nvml.{0,40}driver[ _]not[ _]loaded", anchor="loaded")
    if hit is None or scene.lines.has_any("not found in directory", "microsoft", "wsl"):
        return None
    return Evidence(
        saw=hit[0].text.strip()[:300],
        expected="a driver that is loaded",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        certainty=Certainty.LIKELY,
        decides="modprobe nvidia",
    )


def _by_facts(scene: Scene) -> Evidence | None:
    """A card is there, a module for this kernel is there, and none is loaded."""
    kernel = scene.stack.kernel
    if not isinstance(kernel.modules, Known) or any(
        m.name.startswith("nvidia") for m in kernel.modules.value
    ):
        return None
    running = kernel.running
    is_pasted = isinstance(kernel.kernels, Unreadable) and scene.lines.has(CANNOT_REACH)
    is_there = bool(scene.stack.hardware.nvidia_devices) or (is_pasted and is_built_for_running(scene))
    if not is_there or has_other_cause(scene):
        return None
    if not is_pasted and (running is None or not running.modules):
        return None
    blocked = (
        [s for s in kernel.settings.value if s.action == "blacklist" and s.module == "nvidia"]
        if isinstance(kernel.settings, Known)
        else []
    )
    return Evidence(
        saw="a card, a module for this kernel, and no nvidia module loaded"
        + (f"; {blocked[0].path} blacklists it" if blocked else ""),
        expected="nvidia in /proc/modules",
        sources=(kernel.modules.source,),
        certainty=Certainty.SURE if blocked else Certainty.LIKELY,
        decides="" if blocked else "modprobe nvidia",
        strength=10 if not is_pasted else 0,
    )
