"""The GPU's system processor (GSP) cannot be started with its firmware.

Symptom: "Direct firmware load for nvidia/.../gsp_*.bin failed", "Cannot initialize GSP firmware RM",
    RmInitAdapter 0x62.
Reason: Before it can drive the card, the module loads a firmware file of exactly its own version into the
    GSP. The file is absent or of another version, or the card's own boot code never gets that far.
Sources: https://github.com/NVIDIA/open-gpu-kernel-modules/issues/789
    https://github.com/endlessm/eos-meta/pull/811
    https://download.nvidia.com/XFree86/Linux-x86_64/510.47.03/README/gsp.html
Limits: nouveau's own firmware (nvidia/<chip>/gsp/) is another matter.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"(?:firmware load for|Failed to load firmware|firmware: failed to"
        r" load|[Rr]equest_firmware).{0,40}nvidia/[\d.]+/gsp",
        anchor="/gsp",
        example="nvidia 0000:01:00.0: Direct firmware load for nvidia/555.58.02/gsp_tu10x.bin failed"
        " with error -2",
    ),
    Sign(
        r"No firmware image found",
        anchor="no firmware image found",
        example="NVRM: RmFetchGspRmImages: No firmware image found",
    ),
    Sign(
        r"failed to wait for (?:GFW_BOOT|GFW boot complete)",
        anchor="failed to wait for gfw",
        example="NVRM: gpuWaitForGfwBootComplete_TU102: failed to wait for GFW_BOOT: (progress 0x3)",
    ),
    Sign(
        r"Cannot initialize GSP firmware RM",
        anchor="cannot initialize gsp firmware rm",
        example="NVRM: RmInitAdapter: Cannot initialize GSP firmware RM",
    ),
    Sign(
        r"(?i)gsp.{0,24}(?:firmware|image).{0,40}(?:version mismatch|does not match|invalid)",
        anchor="gsp",
        example="NVRM: kgspInitRm_IMPL: GSP firmware image version mismatch",
    ),
    Sign(
        r"RmInitAdapter failed! \(0x62:",
        anchor="rminitadapter failed! (0x62:",
        example="NVRM: GPU 0000:98:00.0: RmInitAdapter failed! (0x62:0x65:1792)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"/gsp_\w{2,12}\.bin\b.{0,40}(?:failed|error|not found|No such file)",
        anchor="/gsp_",
        example="nvidia 0000:01:00.0: loading /lib/firmware/nvidia/535.104.05/gsp_ga10x.bin failed with"
        " error -2",
    ),
    Sign(
        r"NVRM:? (?:GPU\d{1,3} )?(?:_?kgsp|kfsp|s_executeBooter|s_vbiosPatch|s_prepareForFwsec)\w{1,60}:"
        r" .{0,80}(?:[Ff]ail|[Ee]rror|[Cc]annot|[Tt]imed out)",
        anchor="nvrm",
        example="NVRM: kgspBootstrap_GH100: GSP-FMC reported an error while attempting to boot GSP: 0xb",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("module-not-loaded", "device-nodes-missing", "no-visible-device", "running-on-cpu")

STEPS = (
    Step(
        "See whether the firmware of the driver's version is there.",
        ("ls", "-l", "/lib/firmware/nvidia"),
        Safety.LOOK,
    ),
    Step(
        "Firmware file absent: install the driver's firmware package (Debian: firmware-nvidia-gsp; Ubuntu: "
        "nvidia-firmware-<branch>-<version>) and rebuild the initramfs if it holds the module.",
        touches="packages, /lib/firmware",
        verify=("ls", "-l", "/lib/firmware/nvidia"),
        undo="remove the package",
    ),
    Step(
        "Firmware there: power the machine off wholly and on again.",
        safety=Safety.DISRUPTIVE,
        touches="all running programs: they end",
        verify=("nvidia-smi",),
        undo="none needed",
    ),
    Step(
        "If GFW_BOOT still fails: other slot, power cables, system firmware; else the card is defective.",
        touches="the hardware",
        undo="the former slot",
    ),
)
