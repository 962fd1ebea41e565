"""Kills for want of memory in a live kernel log: only an engine's, and only today's, are ours to name.

A kernel log keeps what happened since the start. That a compiler or a test was killed in it some time ago
says nothing of the engine; in pasted text a person has chosen the lines, so there every kill counts.
The same holds for a program that ended of an instruction which the processor does not know: another build
may long be in its place.
"""

from __future__ import annotations

import re
from typing import Final

from bringup.patterns import regex

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0

_ENGINE: Final = regex(
    r"llama|ollama|xllamacpp|koboldcpp|localai|lm.?studio|lms\b|vllm|whisper|bringup", re.IGNORECASE
)
_PART: Final = ("invoked oom-killer", "oom-kill:", "out of memory: kill", "oom_reaper")
_VICTIM: Final = regex(r"\btask=([^,]{1,16}),pid=|Kill(?:ed)? process \d{1,10} \(([^)]{1,16})\)")
_CLOCK: Final = regex(r"\s{0,4}\[\s{0,8}(\d{1,9}\.\d{1,9})\]")


def without_foreign_kills(text: str, *, uptime_s: float | None) -> str:
    """A kernel log without the lines of kills whose victim was no engine, or that are older than a day.

    Raw lines: `[  812.5] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=llama-server,pid=42,uid=0`,
    `[  812.6] Out of memory: Killed process 42 (llama-server) total-vm:...`. A line that begins a kill
    ("X invoked oom-killer") or ends it ("oom_reaper: reaped process") goes with the victim named next to it.

    Args:
        text: the log.
        uptime_s: seconds since the start; `None` where that is not known, then age is no reason.
    """
    if "oom" not in text and "ut of memory" not in text:
        return text
    kept: list[str] = []
    is_ours = False
    for line in reversed(text.split("\n")):
        low = line.lower()
        if any(part in low for part in _PART):
            victim = _VICTIM.search(line)
            if victim is not None:
                is_ours = _ENGINE.match(victim[1] or victim[2]) is not None and not _is_old(line, uptime_s)
            elif "oom_reaper" in low:
                continue
            if not is_ours:
                continue
        kept.append(line)
    return "\n".join(reversed(kept))


def without_old_traps(text: str, *, uptime_s: float | None) -> str:
    """A kernel log without the lines of programs that ended of an unknown instruction over an hour ago.

    Raw line: `[ 4592.194325] traps: llama-server[28369] trap invalid opcode ip:5627aad6a08c`.
    """
    if "trap invalid opcode" not in text:
        return text
    lines = text.split("\n")
    return "\n".join(
        line for line in lines if "trap invalid opcode" not in line or not _is_old(line, uptime_s, HOUR_S)
    )


def _is_old(line: str, uptime_s: float | None, limit_s: float = DAY_S) -> bool:
    clock = _CLOCK.match(line)
    return clock is not None and uptime_s is not None and uptime_s - float(clock[1]) > limit_s
