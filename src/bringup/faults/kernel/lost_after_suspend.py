"""CUDA stopped working when the machine woke from sleep.

Symptom: everything worked before sleep; afterwards CUDA says "unknown error" (999) while nvidia-smi is
    fine.
Reason: Over sleep the card loses its memory, and the driver saves it only when its suspend services and
    the option NVreg_PreserveVideoMemoryAllocations are set up. Without them nvidia_uvm wakes in a broken
    state.
Sources: https://github.com/NixOS/nixpkgs/issues/348769
    https://download.nvidia.com/XFree86/Linux-x86_64/435.17/README/powermanagement.html
    https://github.com/pop-os/default-settings/pull/64
    https://github.com/ollama/ollama/issues/5464
    https://github.com/CachyOS/CachyOS-PKGBUILDS/issues/1764
Limits: without any word of sleep in the text the same error is told as `uvm-not-loaded`.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import LOAD_UVM, UNLOAD_UVM
from bringup.faults.kernel._unknown_error import SLEEP_WORDS, find_unknown_error
from bringup.reading import Known
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"System Power Management attempted without driver procfs suspend interface",
        anchor="without driver procfs suspend interface",
        example="NVRM: GPU 0000:01:00.0: PreserveVideoMemoryAllocations module parameter is set. "
        "System Power Management attempted without driver procfs suspend interface.",
    ),
    Sign(
        r"nvidia-(?:suspend|resume|hibernate)\.service: (?:Failed|Main process exited)",
        anchor=".service: ",
        example="nvidia-resume.service: Failed with result 'exit-code'.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"nv_pmops_(?:suspend|resume)\S{0,20} \[nvidia\] returns -\d{1,10}",
        anchor="nv_pmops_",
        example="nvidia 0000:01:00.0: PM: pci_pm_suspend(): nv_pmops_suspend+0x0/0x20 [nvidia] returns -5",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"nvidia-sleep\.sh exited with",
        anchor="nvidia-sleep.sh exited with",
        example="note: nvidia-sleep.sh exited with irqs disabled",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\b(?:nv_uvm_(?:suspend|resume)|uvm_(?:suspend|resume)_entry)\+0x",
        anchor="uvm_",
        example="uvm_suspend_entry+0xad/0xd0 [nvidia_uvm]",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (
    Story((Told.NVIDIA, Told.SLEPT, Told.GPU_GONE), decides="nvidia-smi", strength=-1),
    Story((Told.NVIDIA, Told.SLEPT, Told.GPU_UNSEEN), decides="nvidia-smi", strength=-1),
    Story((Told.NVIDIA, Told.SLEPT, Told.DRIVER_SILENT), decides="nvidia-smi", strength=-1),
    Story((Told.NVIDIA, Told.SLEPT, Told.NO_PICTURE), decides="nvidia-smi", strength=-1),
    Story((Told.NVIDIA, Told.SLEEP_FAILS), decides="journalctl -b -g 'NVRM|nvidia-suspend|PM:'"),
)

EXPLAINS = ("uvm-not-loaded", "library-missing", "cuda-kernel-crash", "no-visible-device", "running-on-cpu")

STEPS = (
    Step(
        "Stop CUDA programs (ollama, containers, notebooks).",
        safety=Safety.DISRUPTIVE,
        touches="those programs",
        undo="start them again",
    ),
    UNLOAD_UVM,
    LOAD_UVM,
    Step(
        "So that it does not come back: turn on the driver's suspend services.",
        (
            "systemctl",
            "enable",
            "nvidia-suspend.service",
            "nvidia-resume.service",
            "nvidia-hibernate.service",
        ),
        Safety.SAFE,
        needs_root=True,
        undo="systemctl disable of the same three",
        touches="three services",
    ),
    Step(
        "And write 'options nvidia NVreg_PreserveVideoMemoryAllocations=1"
        " NVreg_TemporaryFilePath=/var/tmp' to "
        "/etc/modprobe.d/nvidia-sleep.conf; restart.",
        safety=Safety.DISRUPTIVE,
        touches="one file in /etc/modprobe.d; sleep then writes the card's memory to /var/tmp",
        undo="delete that file",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """CUDA's unknown error beside words of sleep, or a kernel log in which the machine slept."""
    log = scene.stack.kernel.log
    has_slept = isinstance(log, Known) and log.value.has_slept
    if not has_slept and not scene.lines.has_any(*SLEEP_WORDS):
        return None
    hit = find_unknown_error(scene) or scene.lines.first_like(
        r"CUDA error: unknown error", anchor="cuda error: unknown error"
    )
    if hit is None:
        return None
    return Evidence(
        saw=f"{' '.join(hit.text.split())[:200]}, and the machine had slept",
        expected="CUDA to work after sleep as before",
        sources=(f"{hit.source}, line {hit.number}",),
        certainty=Certainty.LIKELY,
        decides="modprobe -r nvidia_uvm, then modprobe nvidia_uvm: works again",
        strength=5,
    )
