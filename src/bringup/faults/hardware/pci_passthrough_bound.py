"""The card is reserved for a virtual machine (vfio-pci), so the host's driver gets no device.

Symptom: the nvidia module loads, finds no free device and goes; lspci -k shows "Kernel driver in use:
    vfio-pci".
Reason: The card's ids stand in a vfio-pci rule of modprobe.d or on the kernel's command line, and vfio-pci
    took the card at boot. One device has one driver.
Sources: https://docs.kernel.org/driver-api/vfio.html
    https://wiki.archlinux.org/title/PCI_passthrough_via_OVMF
Limits: where a virtual machine should have the card, this is as it should be.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import CANNOT_REACH, holds_nvidia, is_driver_expected
from bringup.records import replace

SIGNS = (
    Sign(
        r"is already bound to (?:vfio-pci|pci-stub|xen-pciback)",
        anchor="is already bound to",
        example="NVRM: GPU 0000:01:00.0 is already bound to vfio-pci.",
    ),
    Sign(
        r"Kernel driver in use: (?:vfio-pci|pci-stub|pciback)",
        anchor="kernel driver in use",
        example="	Kernel driver in use: vfio-pci",
        needs=("nvidia",),
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"vfio-pci\.ids=\S{0,40}10de:|options vfio-pci ids=\S{0,40}10de:",
        anchor="10de:",
        example="options vfio-pci ids=10de:2d04,10de:22eb disable_vga=1",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"vfio_pci: add \[10de:",
        anchor="vfio_pci: add",
        example="vfio_pci: add [10de:2206[ffffffff:ffffffff]] class 0x000000/00000000",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("nouveau-in-use", "module-not-loaded", "device-nodes-missing", "no-visible-device")

STEPS = (
    Step("See which driver holds the card.", ("lspci", "-nnk", "-d", "10de:"), Safety.LOOK),
    Step(
        "Take the card's ids out of the vfio-pci line in /etc/modprobe.d and out of vfio-pci.ids= on the"
        " kernel's "
        "command line.",
        safety=Safety.RISKY,
        touches="/etc/modprobe.d, the boot loader's configuration",
        undo="put the same lines back and rebuild the initramfs",
    ),
    Step(
        "Rebuild the initramfs.",
        ("update-initramfs", "-u", "-k", "all"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="/boot/initrd.img-*",
        undo="run it again after the old lines are back",
    ),
    replace(REBOOT, verify=("lspci", "-nnk", "-d", "10de:")),
)


def check(scene: Scene) -> Evidence | None:
    """A virtual machine's driver holds the only NVIDIA card; a second card that nvidia drives is a choice."""
    if holds_nvidia(scene, "nvidia") is not None:
        return None
    for driver in ("vfio-pci", "pci-stub", "pciback"):
        address = holds_nvidia(scene, driver)
        if address is not None and (is_driver_expected(scene) or scene.lines.has(CANNOT_REACH)):
            return Evidence(
                saw=f"{driver} holds the card at {address}",
                expected="the driver nvidia, or none",
                sources=("lspci -nnk",),
                strength=10,
            )
    return None
