"""NVIDIA's Xid codes: what the driver means by each.

Sources: the codes up to 125 follow `nverror.h` of NVIDIA's open kernel modules (commit 0b7b804), the
later ones the list in https://docs.nvidia.com/deploy/xid-errors/index.html. Written by hand, in our
words. Meanings only; which fault a code belongs to is judged in `faults/`.
"""

from __future__ import annotations

from typing import Final

XID_MEANINGS: Final[dict[int, str]] = {
    8: "an engine of the GPU did not answer in time",
    13: "an exception in the graphics or compute engine, usually of the running program",
    31: "a memory access without a mapping (MMU fault), usually of the running program",
    32: "a broken command stream from the program or the bus",
    38: "a failure of the driver's firmware",
    43: "a program's channel was stopped after an error of its own",
    44: "a fault while saving an engine's context",
    45: "a program's channels were torn down, as after a kill",
    46: "the GPU stopped processing",
    48: "a memory error of two bits that ECC cannot correct",
    54: "an auxiliary power plug is not connected",
    56: "an error of the display engine",
    57: "an error while programming the video memory interface",
    59: "an error of the power micro-controller",
    61: "a breakpoint or warning of the internal micro-controller",
    62: "the internal micro-controller stopped",
    63: "a page or row of memory was marked to be retired",
    64: "marking a page or row of memory to be retired failed",
    65: "an error of the video encoder",
    66: "an access to video memory that the driver did not allow",
    68: "an error of the video decoder",
    69: "an exception of a graphics class",
    74: "an error on an NVLink connection",
    78: "a virtual GPU could not be started",
    79: "the GPU no longer answers on the bus",
    92: "many memory errors of one bit",
    93: "the information store (infoROM) was erased too often",
    94: "an uncorrectable memory error that was kept within the program",
    95: "an uncorrectable memory error that could not be contained",
    109: "a context switch did not end in time",
    110: "a security fault",
    119: "the GPU's system processor (GSP) did not answer a request in time",
    120: "the GPU's system processor (GSP) reported an error",
    121: "an error on the link between chips",
    122: "reading the card's serial flash failed",
    123: "writing the card's serial flash failed",
    124: "erasing the card's serial flash failed",
    125: "the card's information store (infoROM) is damaged",
    136: "a firmware alert of a link",
    137: "a fault of NVLink memory mapping",
    140: "an uncorrectable memory error was seen",
    143: "the GPU could not be initialised",
    145: "an error of an NVLink connection's input",
    149: "an error of an NVLink connection's control",
    151: "an error of key rotation",
    154: "the driver changed what it asks for to recover the GPU",
    155: "an NVLink connection went down on purpose",
    156: "a resource was retired",
    158: "a fatal time-out of the GPU",
    160: "a memory channel is to be retired",
    161: "memory channels are all used up",
    167: "a fatal time-out on the PCIe bus",
    168: "errors in the protected region of memory",
    169: "the firmware processor stopped",
    170: "an interrupt arrived in protected mode",
    171: "an uncorrectable error in the video memory",
    172: "an uncorrectable error in the on-chip memory",
}
"""Code to meaning, in our words."""


def describe_xid(code: int) -> str:
    """What the driver means by a code; says so when the table has none."""
    return XID_MEANINGS.get(code, "a code that this table does not know")
