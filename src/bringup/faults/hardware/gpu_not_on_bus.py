"""No NVIDIA device is on the PCI bus.

Symptom: lspci lists no NVIDIA device; the driver loads and finds nothing, nvidia-smi says "No devices were
    found".
Reason: The card does not answer where the firmware and the kernel look for it, so no driver can see it. It
    sits badly, has no power, its slot is off in the firmware setup, or the machine (or its cloud size) has
    no such card.
Sources: https://github.com/system76/firmware-open/issues/122
    https://wiki.debian.org/NvidiaGraphicsDrivers
Limits: a container or a WSL 2 guest has no PCI bus of its own; nothing is said there.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.kernel._driver import is_driver_expected, is_wsl
from bringup.reading import Known
from bringup.stack.told import Told

_SEARCHES = ("lspci",)

_FOUND_NONE = "no devices were found"
"""Anchor of nvidia-smi where the module is loaded and has no card."""

_SWITCHES = ("bbswitch", "prime-select", "d3cold", "optirun")
"""Anchors of a laptop's power management, which takes the card off the bus too."""

_REFUSALS = (
    "legacy drivers",
    "legacy linux graphics drivers",
    "open kernel modules",
    "supported by open",
    "is not supported by the",
    "already bound",
)
"""Anchors of a card that is there and that the module did not take; it then says that it found none."""


SIGNS = (
    Sign(
        r"NVRM: No NVIDIA (?:GPU|graphics adapter) found",
        anchor="nvrm: no nvidia",
        example="NVRM: No NVIDIA GPU found.",
        unless=(*_SWITCHES, *_REFUSALS),
    ),
    Sign(
        r"No NVIDIA GPU detected",
        anchor="no nvidia gpu detected",
        example="No NVIDIA GPU detected.",
        needs=("nvidia-detect",),
    ),
    Sign(
        r"You do not appear to have an NVIDIA GPU supported by the",
        anchor="you do not appear to have an nvidia gpu",
        example="WARNING: You do not appear to have an NVIDIA GPU supported by the 535.54 NVIDIA Linux"
        " graphics driver",
        certainty=Certainty.LIKELY,
        unless=("nvidia corporation", "10de:", *_REFUSALS[:2]),
    ),
    Sign(
        r"(?i)(?:could not insert|error inserting) '?nvidia.{0,100}: No such device",
        anchor=": no such device",
        example="modprobe: ERROR: could not insert 'nvidia': No such device",
        certainty=Certainty.LIKELY,
        unless=("nvrm:", "nvidia corporation", "10de:", *_SWITCHES, *_REFUSALS),
        is_weak=True,
    ),
)

STORIES = (
    Story((Told.NVIDIA, Told.NOT_LISTED), decides="lspci -nn -d 10de:"),
    Story((Told.CARD_MOVED, Told.DRIVER_SILENT), decides="lspci -nn -d 10de:", strength=-1),
)

EXPLAINS = ("module-not-loaded", "device-nodes-missing", "no-visible-device", "running-on-cpu")

STEPS = (
    Step("List what the kernel sees on the bus.", ("lspci", "-nn", "-d", "10de:"), Safety.LOOK),
    Step(
        "Power the machine off wholly (not a restart), wait ten seconds and switch it on.",
        safety=Safety.DISRUPTIVE,
        touches="all running programs: they end",
        verify=("lspci", "-nn", "-d", "10de:"),
        undo="none needed",
    ),
    Step(
        "With the power off, reseat the card and its power cables and try another slot; in the firmware"
        " setup see "
        "that the slot is on and Above 4G decoding is enabled.",
        safety=Safety.DISRUPTIVE,
        touches="the hardware",
        verify=("lspci", "-nn", "-d", "10de:"),
        undo="the former slot and switches",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """No NVIDIA device on the bus, although a driver is there or somebody looked for one."""
    devices = scene.stack.hardware.pci_devices
    if not isinstance(devices, Known) or scene.stack.hardware.nvidia_devices or is_wsl(scene):
        return None
    is_driver_there = is_driver_expected(scene) or scene.lines.has(_FOUND_NONE)
    if not is_driver_there and (devices.value or not scene.lines.has_any(*_SEARCHES)):
        return None
    return Evidence(
        saw="no device of NVIDIA (vendor 10de) on the PCI bus",
        expected="one display controller of vendor 10de",
        sources=(devices.source,),
        strength=10,
    )
