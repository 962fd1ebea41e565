"""The GPU hangs and answers nothing until it is reset.

Symptom: nvidia-smi hangs or shows ERR!; Xid 119, 120 or 154, "Timeout waiting for RPC from GSP", "GPU
    requires reset".
Reason: The card's own processor (GSP) or an engine stopped, or an earlier failed start left it half set
    up. Software can no longer talk to it, only a reset or a power cycle brings it back.
Sources: https://docs.nvidia.com/deploy/xid-errors/index.html
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/446
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/1058
    https://github.com/NVIDIA/open-gpu-kernel-modules/issues/942
Limits: which error came first decides why it hung; read upwards from here.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults.hardware._cards import judge_hang
from bringup.faults.hardware._xid import judge_xid
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"\bXid\b.{0,60}\): (?:119|120)\b",
        anchor="): 1",
        example="NVRM: Xid (PCI:0000:61:00): 119, pid=2311, name=nvidia-smi, Timeout after 6s of"
        " waiting for RPC response from GPU0 GSP!",
    ),
    Sign(
        r"[Tt]imeout (?:after \d{1,10}s of )?waiting for RPC",
        anchor="waiting for rpc",
        example="NVRM: Timeout waiting for RPC from GSP0! Expected function 76 (GSP_RM_CONTROL).",
    ),
    Sign(
        r"\bGPU\d{1,3} RPC (?:event )?history \(CPU",
        anchor=" rpc ",
        example="NVRM: GPU6 RPC event history (CPU <- GSP):",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"rpcRecvPoll timed ?out",
        anchor="rpcrecvpoll timed",
        example="NVRM: _issueRpcAndWait: rpcRecvPoll timedout for fn 76 sequence 4129!",
    ),
    Sign(
        r"unexpected WPR2 already up",
        anchor="unexpected wpr2 already up",
        example="NVRM: GPU0 _kgspBootGspRm: unexpected WPR2 already up, cannot proceed with booting GSP",
    ),
    Sign(
        r"GPU is (?:likely )?in a bad state",
        anchor="in a bad state",
        example="NVRM: GPU0 _kgspBootGspRm: (the GPU is likely in a bad state and may need to be reset)",
    ),
    Sign(
        r"GPU requires re(?:set|start)",
        anchor="gpu requires re",
        example="Unable to determine the device handle for GPU0: 0000:41:00.0: GPU requires reset",
    ),
    Sign(
        r"GPU recovery action changed from .{0,40} to 0x[0-9a-f]+ \((?:GPU|Node) (?:Reset|Reboot) Required",
        anchor="gpu recovery action changed",
        example="NVRM: Xid (PCI:0000:0b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1"
        " (GPU Reset Required)",
    ),
    Sign(
        r"NV_ERR_RESET_REQUIRED",
        anchor="nv_err_reset_required",
        example="NVRM: nvAssertOkFailedNoLog: Assertion failed: Reset required [NV_ERR_RESET_REQUIRED]"
        " (0x00000062)",
    ),
    Sign(
        r"\bXid\b.{0,60}\): 109\b",
        anchor="): 109",
        example="NVRM: Xid (PCI:0000:cb:00): 109, pid=1797, name=python3, Ch 00000008, errorString CTX SWITCH"
        " TIMEOUT, Info 0x58005",
        certainty=Certainty.LIKELY,
        unless=("): 13, ", "): 31, "),
    ),
    Sign(
        r"\bXid\b.{0,60}\): (?:61|62|110)\b",
        anchor="xid",
        example="NVRM: Xid (PCI:0000:0a:00): 62, pid=1423, 23a8(3298) 00000000 00000000",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"task nvidia-smi:\d{1,10} blocked for more than \d{1,10} seconds",
        anchor="blocked for more than",
        example="INFO: task nvidia-smi:28931 blocked for more than 120 seconds.",
    ),
    Sign(
        r"^\|\s*(?:ERR!|\d{1,10}%)\s+(?:\d{1,10}C|N/A|ERR!)\s+\S{1,80}\s+ERR! /",
        anchor="err! /",
        example="| ERR!   48C    P2    ERR! / 350W |    210MiB / 24576MiB |     ERR!      Default |",
    ),
    Sign(
        r"nvidia-modeset: ERROR: GPU:\d{1,10}: (?:Idling display engine timed out|The GPU has timed out)",
        anchor="nvidia-modeset: error",
        example="nvidia-modeset: ERROR: GPU:0: Idling display engine timed out: 0x0000c67d:0:0:1136",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"task \S{1,40}:\d{1,10} blocked for more than \d{1,10} seconds",
        anchor="blocked for more than",
        example="INFO: task cache_mgr_event:620917 blocked for more than 120 seconds.",
        certainty=Certainty.LIKELY,
        needs=("nvrm: xid",),
    ),
    Sign(
        r"Reset Required\s*:\s*Yes",
        anchor="reset required",
        example="        Reset Required                    : Yes",
    ),
    Sign(
        r"GPU Recovery Action\s*:\s*(?:GPU Reset|Node Reboot|Reset|Reboot|Drain)",
        anchor="gpu recovery action",
        example="    GPU Recovery Action                   : GPU Reset",
    ),
    Sign(
        r"\b(?:Xid|XID):? (?:119|120|154)\b",
        anchor="xid",
        example="rpc timeouts, then Xid 154 (Node Reboot Required) under load",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\s(?:D|D[sl<+NL]{1,4})\s.{0,40}\bnvidia-(?:smi|persistenced)\b",
        anchor="nvidia-",
        example="root        935  0.0  0.0  16488  4056 ?        D    May04   0:00 /usr/bin/nvidia-smi",
        certainty=Certainty.LIKELY,
    ),
)

STORIES = (Story((Told.SMI_HANGS,), decides="journalctl -k -b -g NVRM"),)

EXPLAINS = ("gsp-firmware-failed", "no-visible-device", "cuda-kernel-crash", "running-on-cpu")

STEPS = (
    Step(
        "Read the first error of this boot: it says why the card hung.",
        ("journalctl", "-k", "-b", "-g", "NVRM"),
        Safety.LOOK,
    ),
    Step(
        "Stop everything that uses the card.",
        safety=Safety.DISRUPTIVE,
        touches="every program on the card",
        undo="start them again",
    ),
    Step(
        "Reset the card; it is refused while a program uses it.",
        ("nvidia-smi", "--gpu-reset"),
        Safety.DISRUPTIVE,
        needs_root=True,
        undo="none needed",
        touches="every program on the card: it ends",
        verify=("nvidia-smi",),
    ),
    Step(
        "If the reset is refused, power the machine off wholly and on again.",
        safety=Safety.DISRUPTIVE,
        touches="all running programs: they end",
        verify=("nvidia-smi",),
        undo="none needed",
    ),
    Step(
        "If it comes back with GSP timeouts, take another driver version and the newest system firmware.",
        touches="the driver's packages, the system firmware",
        undo="install the former driver version again; firmware mostly has no way back",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """An Xid of the GPU's system processor, or a driver that does not answer."""
    return judge_xid(scene, (119, 120)) or judge_hang(scene)
