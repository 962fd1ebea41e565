"""Who was killed for want of memory, by the kernel's word, and who will be, by a launcher's plan."""

from __future__ import annotations

import re

from bringup.faults._fault import Certainty, Evidence
from bringup.faults._scene import Scene
from bringup.patterns import regex
from bringup.stack.engine_log import parse_size

_ENGINES = regex(r"llama|kobold|lm-?studio|\blms\b|vllm|bringup|text-gen")
_VICTIM = regex(r"Kill(?:ed)? process \d+,? \(([^)]+)\)|[, ]task=([^,]+),pid=|^(\S+) invoked oom-killer")
_KERNEL_SOURCES = ("dmesg", "journalctl", "/var/log")


def by_kernel(scene: Scene) -> Evidence | None:
    """A process that the OOM killer ended.

    What was pasted is what the person asks about. This machine's own kernel log goes back to its start:
    there only an engine counts, and only as likely.
    """
    for line in (*scene.lines.with_anchor("oom"), *scene.lines.with_anchor("out of memory: kill")):
        victim = _VICTIM.search(line.text)
        if victim is None:
            continue
        name = victim[1] or victim[2] or victim[3]
        is_own_log = line.source.startswith(_KERNEL_SOURCES)
        if is_own_log and not _ENGINES.search(name):
            continue
        return Evidence(
            saw=f"the kernel's OOM killer and {name}: {line.text.strip()[:200]}",
            expected="enough main memory for all that runs",
            sources=(f"{line.source}, line {line.number}",),
            certainty=Certainty.LIKELY if is_own_log else Certainty.SURE,
            decides="journalctl -k --grep oom" if is_own_log else "",
        )
    return None


def by_plan(scene: Scene) -> Evidence | None:
    """By the figures of ollama, what stays off the GPU is nearly all that is free, and there is no swap."""
    memory = scene.lines.last(r'total="[^"]+" free="([^"]+)" free_swap="([^"]+)"', anchor="free_swap=")
    plan = scene.lines.last(
        r'required\.full="([^"]+)" memory\.required\.partial="([^"]+)"', anchor="memory.required.full"
    )
    if memory is None or plan is None:
        return None
    try:
        free, swap, full, partial = (parse_size(text) for text in (*memory[1].groups(), *plan[1].groups()))
    except ValueError:
        return None
    if re.search(r"layers\.offload=0 ", plan[0].text) or full - partial < 0.93 * (free + swap):
        return None
    return Evidence(
        saw=f"{(full - partial) / 1024**3:.1f} GiB go to main memory, {(free + swap) / 1024**3:.1f} GiB"
        f" are free",
        expected="room to spare in main memory",
        sources=(f"{plan[0].source}, line {plan[0].number}",),
        certainty=Certainty.LIKELY,
        decides="journalctl -k --grep oom",
        strength=8,
    )
