"""The open nouveau driver (or its successor nova) holds the card, so the NVIDIA module gets none.

Symptom: lspci -k shows "Kernel driver in use: nouveau"; the NVIDIA module says that another driver owns
    the device.
Reason: One device has one driver, and nouveau was loaded first. The NVIDIA driver needs nouveau kept away
    at boot, also in the initramfs.
Sources: https://github.com/NixOS/nixpkgs/issues/16711
    https://github.com/beclab/Olares/pull/3963
    https://github.com/NVIDIA/nvidia-installer
    https://download.nvidia.com/XFree86/Linux-x86_64/435.17/README/commonproblems.html
Limits: the same NVRM text stands there when vfio-pci holds the card. Without an NVIDIA driver nouveau is
    only a symptom.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.kernel._driver import holds_nvidia, is_driver_expected
from bringup.stack.told import Told

_OTHERS = ("vfio-pci", "pci-stub", "nvidia-smi: command not found", "command 'nvidia-smi' not found")

SIGNS = (
    Sign(
        r"is already bound to (?:nouveau|[Nn]ova)",
        anchor="is already bound to no",
        example="NVRM: GPU 0000:01:00.0 is already bound to nouveau.",
    ),
    Sign(
        r"Kernel driver in use: [Nn]ova",
        anchor="kernel driver in use: nova",
        example="	Kernel driver in use: NovaCore",
        needs=("nvidia",),
    ),
    Sign(
        r"Nouveau kernel driver is currently in use",
        anchor="nouveau kernel driver is currently in use",
        example="ERROR: The Nouveau kernel driver is currently in use by your system.  This driver is"
        " incompatible",
    ),
    Sign(
        r"nouveau, rivafb,? ?(?:nvidiafb)?",
        anchor="nouveau, rivafb",
        example="NVRM: nouveau, rivafb, nvidiafb or rivatv ",
        unless=("vfio", "pci-stub"),
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"NVIDIA probe routine was not called for \d{1,10} device",
        anchor="probe routine was not called",
        example="NVRM: The NVIDIA probe routine was not called for 1 device(s).",
        certainty=Certainty.LIKELY,
        unless=("vfio", "pci-stub"),
    ),
    Sign(
        r"Kernel driver in use: nouveau",
        anchor="kernel driver in use: nouveau",
        example="	Kernel driver in use: nouveau",
        needs=("nvidia",),
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"NVIDIA.{0,120}driver: nouveau\b",
        anchor="driver: nouveau",
        example="  Device-1: NVIDIA GA104 [GeForce RTX 3070] driver: nouveau v: kernel",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"^nouveau\s+\d{5,9}\s+[1-9]\d{0,10}",
        anchor="nouveau",
        example="nouveau              2306048  4",
        certainty=Certainty.LIKELY,
        unless=_OTHERS,
    ),
    Sign(
        r"Nouveau is running: any attempt to disable it|Nouveau can usually be disabled by adding files",
        anchor="nouveau ",
        example="  * Nouveau is running: any attempt to disable it will not take effect until a reboot.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"^nouveau [0-9a-f:.]{7,12}: (?:NVIDIA \w|fb: \d|DRM: VRAM: )",
        anchor="nouveau ",
        example="nouveau 0000:01:00.0: DRM: VRAM: 4096 MiB",
        certainty=Certainty.LIKELY,
        needs=("blacklist",),
        unless=_OTHERS,
    ),
    Sign(
        r"^nouveau [0-9a-f:.]{7,12}: (?:NVIDIA \w|fb: \d|DRM: VRAM: )",
        anchor="nouveau ",
        example="nouveau 0000:01:00.0: NVIDIA GM204 (124020a1)",
        certainty=Certainty.LIKELY,
        needs=("nvidia-smi has failed",),
        unless=_OTHERS,
    ),
)

STORIES = (
    Story((Told.NVIDIA, Told.NOUVEAU, Told.DRIVER_SILENT), decides="lspci -nnk -d 10de:", strength=-1),
    Story((Told.MODULE, Told.NOUVEAU_INSTEAD), decides="lspci -nnk -d 10de:"),
)

EXPLAINS = ("module-not-loaded", "device-nodes-missing", "no-visible-device", "running-on-cpu")

STEPS = (
    Step("See which driver holds the card.", ("lspci", "-nnk", "-d", "10de:"), Safety.LOOK),
    Step(
        "Write the lines 'blacklist nouveau', 'blacklist nova_core' and 'options nouveau modeset=0' to "
        "/etc/modprobe.d/blacklist-nouveau.conf.",
        touches="one file in /etc/modprobe.d",
        undo="delete that file and rebuild the initramfs",
        safety=Safety.DISRUPTIVE,
    ),
    Step(
        "Rebuild the initramfs (Debian, Ubuntu; elsewhere: dracut --force, mkinitcpio -P).",
        ("update-initramfs", "-u"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="the initramfs of the running kernel",
        undo="delete the file and run it again",
    ),
    REBOOT,
)


def check(scene: Scene) -> Evidence | None:
    """Nouveau holds a card on a machine where an NVIDIA driver is installed."""
    address = holds_nvidia(scene, "nouveau") or holds_nvidia(scene, "NovaCore")
    if address is None or not is_driver_expected(scene):
        return None
    return Evidence(
        saw=f"nouveau or nova holds the card at {address}, and an NVIDIA driver is installed",
        expected="the driver nvidia",
        sources=("lspci -nnk",),
        strength=10,
    )
