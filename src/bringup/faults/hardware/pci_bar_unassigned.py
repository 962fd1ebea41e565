"""The firmware gave the GPU no address window for its memory.

Symptom: "This PCI I/O region assigned to your NVIDIA device is invalid", "BAR1 is 0M", lspci shows
    "<unassigned>".
Reason: The card's memory window (BAR) is larger than the space that the firmware or the virtual machine
    hands out below 4 GiB, so it gets none, and the driver cannot reach the card. "Fallen off the bus" then
    only follows.
Sources: https://github.com/HeyMeco/Rockchip-pcie-devices/issues/1
    https://download.nvidia.com/XFree86/Linux-x86_64/435.17/README/commonproblems.html
Limits: "can't assign; no space" for a small I/O window of some other device is everyday noise.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import Known

SIGNS = (
    Sign(
        r"PCI I/O region assigned to your NVIDIA device is invalid",
        anchor="assigned to your nvidia device is invalid",
        example="NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:",
    ),
    Sign(r"NVRM: BAR\d is 0M", anchor="is 0m", example="NVRM: BAR1 is 0M @ 0x0 (PCI:0000:13:00.0)"),
    Sign(
        r"system BIOS may have misconfigured your GPU",
        anchor="may have misconfigured your gpu",
        example="NVRM: The system BIOS may have misconfigured your GPU.",
    ),
    Sign(
        r"64-bit BAR mapped above",
        anchor="64-bit bar mapped above",
        example="NVRM: This is a 64-bit BAR mapped above 16 TB by the system BIOS or the Linux kernel.",
    ),
    Sign(
        r"Region [0-3]: Memory at <(?:unassigned|ignored)> \(64-bit, prefetchable\)",
        anchor="region ",
        example="	Region 1: Memory at <unassigned> (64-bit, prefetchable) [virtual]",
        certainty=Certainty.LIKELY,
        needs=("nvidia",),
    ),
    Sign(
        r"BAR \d\b.{0,24}\[mem size 0x[0-9a-f]{8,12} 64bit pref\](?:: can't assign|: failed to assign|$)",
        anchor="64bit pref]",
        example="pci 0000:13:00.0: BAR 1 [mem size 0x800000000 64bit pref]: can't assign; no space",
        certainty=Certainty.LIKELY,
        needs=("nvidia", "assign"),
    ),
    Sign(
        r"request_mem_region failed for 0M @ 0x0\b",
        anchor="request_mem_region failed for 0m",
        example="NVRM: request_mem_region failed for 0M @ 0x0. This can",
    ),
)

EXPLAINS = (
    "gpu-fell-off-bus",
    "gpu-too-new-for-driver",
    "gsp-firmware-failed",
    "module-not-loaded",
    "device-nodes-missing",
    "no-visible-device",
)

STEPS = (
    Step("See which regions of the card have no address.", ("lspci", "-vv", "-d", "10de:"), Safety.LOOK),
    Step(
        "In the firmware setup turn on Above 4G decoding (and UEFI boot, CSM off), then start again.",
        safety=Safety.DISRUPTIVE,
        touches="the firmware setup; Resizable BAR may come with it",
        undo="the same switch, turned back",
        verify=("lspci", "-vv", "-d", "10de:"),
    ),
    Step(
        "In a virtual machine: UEFI firmware and a large 64-bit MMIO window (VMware:"
        " pciPassthru.use64bitMMIO and "
        "pciPassthru.64bitMMIOSizeGB; QEMU: OVMF, q35).",
        safety=Safety.DISRUPTIVE,
        touches="the virtual machine's settings",
        verify=("nvidia-smi",),
        undo="the former settings",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A memory window of an NVIDIA card has no address."""
    for device in scene.stack.hardware.nvidia_devices:
        regions = device.unassigned_regions
        if isinstance(regions, Known) and regions.value:
            numbers = ", ".join(str(number) for number in regions.value)
            return Evidence(
                saw=f"memory window {numbers} of {device.address} has no address",
                expected="an address for every window",
                sources=(regions.source,),
                strength=10,
            )
    return None
