"""The GPU's memory has errors that could not be corrected.

Symptom: CUDA says "uncorrectable ECC error encountered"; Xid 48, 63, 64, 92, 94 or 95; pages or rows wait
    to be retired.
Reason: A memory cell of the card returned wrong data beyond what ECC repairs. The bad page or row is put
    out of use at the next reset; a card that goes on collecting them is defective.
Sources: https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/index.html
    https://docs.nvidia.com/deploy/xid-errors/index.html
    https://github.com/zai-org/ChatGLM3/issues/681
    https://github.com/akash-network/support/issues/244
Limits: cards without ECC (most GeForce) cannot say this; their memory errors look like crashes of
    programs.
"""

from __future__ import annotations

import re

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import REBOOT
from bringup.faults.hardware._cards import judge_memory_errors
from bringup.faults.hardware._xid import judge_xid
from bringup.records import replace
from bringup.stack.smi_text import find_in_section

SIGNS = (
    Sign(
        r"[Uu]ncorrectable ECC error",
        anchor="uncorrectable ecc error",
        example="RuntimeError: CUDA error: uncorrectable ECC error encountered",
    ),
    Sign(
        r"(?:CUDA|cuda)\w{0,12}_?ECC_?[Uu](?:NCORRECTABLE|ncorrectable)",
        anchor="uncorrectable",
        example="failed to synchronize stream: CUDA_ERROR_ECC_UNCORRECTABLE",
    ),
    Sign(
        r"\bXid\b.{0,60}\): (?:48|64|92|94|95|140)\b",
        anchor="xid",
        example="NVRM: Xid (PCI:0000:00:08): 94, pid='<unknown>', name=<unknown>, Contained: SM (0x1)."
        " RST: No, D-RST: No",
    ),
    Sign(
        r"\bXid\b.{0,60}\): 63\b",
        anchor="): 63",
        example="NVRM: Xid (PCI:0000:3b:00): 63, pid=1, Row Remapper: New row marked for remapping,"
        " reset gpu to activate.",
    ),
    Sign(
        r"Remapping Failure Occurred\s*:\s*Yes",
        anchor="remapping failure occurred",
        example="        Remapping Failure Occurred        : Yes",
    ),
    Sign(
        r"Pending Page Blacklist\s*:\s*Yes",
        anchor="pending page blacklist",
        example="    Pending Page Blacklist            : Yes",
    ),
    Sign(
        r"NVRM:.{0,80}Row Remapper: (?!.{0,120}no error)",
        anchor="row remapper:",
        example="NVRM: GPU0 Row Remapper: New row (0x000000003a5d1f00) marked for remapping, reset gpu"
        " to activate.",
    ),
    Sign(
        r"\b[SD]RAM Uncorrectable[\w -]{0,20}:\s*[1-9]",
        anchor="ram uncorrectable",
        example="            DRAM Uncorrectable            : 12",
    ),
    Sign(
        r"(?i)NVRM:.{0,60}(?:double[- ]bit|DBE|uncorrectable (?:memory|ecc)).{0,30}error",
        anchor="nvrm:",
        example="NVRM: GPU at 0000:3b:00.0 has encountered a Double Bit ECC Error",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r":00\.0 O(?:n|ff) \|\s{4,30}[1-9]\d{0,9} \|",
        anchor=":00.0 o",
        example="|   0  Quadro P5000        On   | 00000000:65:00.0 Off |                    3 |",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\b(?:Xid|XID):? (?:48|63|64|94|95)\b",
        anchor="xid",
        example="Xid 95: uncontained ECC error",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("gpu-hung-or-needs-reset", "cuda-kernel-crash", "output-garbage")

STEPS = (
    Step(
        "Read the counters: what waits for a reset, and whether a remap failed.",
        ("nvidia-smi", "-q", "-d", "ECC,PAGE_RETIREMENT,ROW_REMAPPER"),
        Safety.LOOK,
    ),
    Step(
        "Stop the program that met the error; do not just start it again.",
        safety=Safety.DISRUPTIVE,
        touches="that program",
        undo="start it again",
    ),
    replace(
        REBOOT,
        say="Restart the machine (or reset the card while nothing uses it): the bad row is put out of use.",
        verify=("nvidia-smi", "-q", "-d", "ROW_REMAPPER"),
    ),
    Step(
        "If the counters grow again, or a remap failed, have the card replaced.",
        touches="the hardware",
        undo="none: the card is defective",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Rows or pages that wait for a reset, errors of two bits, or an Xid of memory."""
    for section, key, bad in (
        ("Remapped Rows", "Pending", r"Yes"),
        ("Retired Pages", "Pending", r"Yes"),
        ("Double Bit", "Total", r"[1-9]\d*"),
        ("Double Bit", "Device Memory", r"[1-9]\d*"),
    ):
        found = find_in_section(scene.lines, section, key)
        if found is not None and re.fullmatch(bad, found[1]):
            return Evidence(
                saw=f"{section}, {key}: {found[1]}",
                expected="none",
                sources=(f"{found[0].source}, line {found[0].number}",),
                strength=10,
            )
    return judge_xid(scene, (48, 63, 64, 92, 94, 95, 140, 171, 172)) or judge_memory_errors(scene)
