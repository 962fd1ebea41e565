"""The GPU stopped answering on the PCI bus.

Symptom: Xid 79 or "fallen off the bus" in the kernel log, "GPU is lost", "Unable to determine the device
    handle".
Reason: The card was there and no longer answers the bus: its configuration space reads all ones. Under
    load the usual causes are power supply, a bad seat or riser, heat, or a defective card; the driver is
    not one of them.
Sources: https://docs.nvidia.com/deploy/xid-errors/index.html
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/387
    https://github.com/NVIDIA/NVSentinel/issues/155
    https://github.com/leptonai/gpud/pull/1209
Limits: a BAR without an address or a laptop's power management print the same words; those faults explain
    this one.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.hardware._xid import judge_xid
from bringup.reading import Known
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"\bXid\b.{0,60}\): 79\b",
        anchor="): 79",
        example="NVRM: Xid (PCI:0000:0b:00): 79, pid=1234, GPU has fallen off the bus.",
    ),
    Sign(
        r"(?:has )?fallen off the bus",
        anchor="fallen off the bus",
        example="NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.",
    ),
    Sign(
        r"\b(?:GPU|gpu) is lost\b|NVML_ERROR_GPU_IS_LOST|GPU_LOST\b",
        anchor="lost",
        example="Unable to determine the device handle for GPU 0000:0B:00.0: GPU is lost.  Reboot the"
        " system to recover this GPU",
    ),
    Sign(
        r"Unable to determine the device handle for (?:GPU|gpu).{0,60}Unknown Error",
        anchor="unable to determine the device handle",
        example="Unable to determine the device handle for GPU 0000:0B:00.0: Unknown Error.",
        unless=("reset required", "requires reset"),
    ),
    Sign(
        r"[Uu]nknown (?:PCI )?header type '?(?:0x)?(?:127|7f)'?",
        anchor="header type",
        example="libvirtd: internal error: Unknown PCI header type '127' for device '0000:05:00.0'",
    ),
    Sign(
        r"(?:VGA compatible controller|3D controller|Display controller).{0,20}NVIDIA.{0,120}\(rev ff\)",
        anchor="(rev ff)",
        example="01:00.0 VGA compatible controller: NVIDIA Corporation GA102 [GeForce RTX 3090] (rev ff)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"pciehp.{0,40}Slot\([0-9-]+\): (?:Link Down|Card not present)",
        anchor="pciehp",
        example="pcieport 0000:00:01.1: pciehp: Slot(0): Link Down",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"\b(?:Xid|XID):? 79\b",
        anchor="xid",
        example="the card dies with Xid 79 after an hour of training",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (
    Story((Told.NVIDIA, Told.OFF_BUS)),
    Story((Told.ONE_GONE,), (Told.CONTAINER, Told.SLEPT, Told.WSL), "journalctl -k -g 'NVRM|pcie'", -3),
)

EXPLAINS = (
    "gpu-hung-or-needs-reset",
    "gsp-firmware-failed",
    "module-not-loaded",
    "device-nodes-missing",
    "no-visible-device",
    "cuda-kernel-crash",
    "running-on-cpu",
)

STEPS = (
    Step(
        "Read the first NVRM line: it names the card and the moment.",
        ("journalctl", "-k", "-g", "NVRM"),
        Safety.LOOK,
    ),
    Step(
        "Power the machine off wholly and on again: a restart often leaves the card dead.",
        safety=Safety.DISRUPTIVE,
        touches="all running programs: they end",
        verify=("nvidia-smi",),
        undo="none needed",
    ),
    Step(
        "If it comes back under load, reseat the card, use one power cable per connector (no splitters,"
        " no risers), "
        "and watch temperature and power.",
        safety=Safety.DISRUPTIVE,
        touches="the hardware",
        verify=("nvidia-smi", "-q", "-d", "TEMPERATURE,POWER,PERFORMANCE"),
        undo="the former slot and cables",
    ),
    Step(
        "As a test for a weak supply, hold the clocks down and see whether it stays.",
        ("nvidia-smi", "-lgc", "300,1500"),
        Safety.SAFE,
        needs_root=True,
        undo="nvidia-smi -rgc",
        verify=("nvidia-smi", "-q", "-d", "CLOCK"),
        touches="the clock limits, until the driver is loaded anew",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Xid 79, or a card that the kernel lists and whose configuration space reads all ones."""
    evidence = judge_xid(scene, (79,))
    if evidence is not None:
        return evidence
    for device in scene.stack.hardware.nvidia_devices:
        if isinstance(device.answers, Known) and not device.answers.value:
            return Evidence(
                saw=f"{device.name or 'the NVIDIA device'} at {device.address} reads all ones",
                expected="a configuration space that begins with the vendor's number",
                sources=(device.answers.source,),
                certainty=Certainty.LIKELY,
                decides="journalctl -k -b -g 'NVRM|nvidia'",
            )
    return None
