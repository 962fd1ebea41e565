"""The whole prompt is read again in each turn.

Symptom: a long wait before the first word of every answer; "forcing full prompt re-processing due to lack
    of cache data".
Reason: the server reuses what it has read when the new prompt begins alike and its cells are still there.
    A sliding-window or recurrent model forgets them, and a prefix that changes each turn (a date,
    reordered tools, dropped reasoning) or another slot makes them useless.
Sources: https://github.com/ggml-org/llama.cpp/pull/13194
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

import re

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

SIGNS = (
    Sign(
        r"forcing full prompt re-processing",
        anchor="forcing full prompt re-processing",
        example="slot update_slots: id  2 | task 319 | forcing full prompt re-processing due to lack"
        " of cache data (likely due to SWA or hybrid/recurrent memory)",
    ),
    Sign(
        r"cache[_ ]reuse is not supported",
        anchor="is not supported",
        example="srv    load_model: cache_reuse is not supported by this context, it will be disabled",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"failed to truncate tokens with position >= \d{1,10}",
        anchor="failed to truncate tokens",
        example="slot update_slots: id  0 | task 5 | failed to truncate tokens with position >= 1207 -"
        " clearing the memory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"prompt state size .{0,120} exceeds cache size limit",
        anchor="exceeds cache size limit",
        example="srv alloc:  - prompt state size 9120.110 MiB exceeds cache size limit 8192.000 MiB,"
        " skipping",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\b(?:full|entire|whole) (?:prompt|context|history|conversation|chat)\b.{0,20}\bre-?process|"
        r"\bre-?process\w{0,4} (?:\w{1,8} ){0,3}(?:full|entire|whole|same) (?:prompt|context|history|"
        r"conversation|chat)|\bprompt (?:re-?)?processing .{0,20}\b(?:every|each) (?:turn|request|message|"
        r"time)",
        anchor="process",
        example="full prompt re-processing with every request, slow for bigger prompts",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\bprompt cach(?:e|ing)\b.{0,100}n.{0,2}t (?:\w{1,12} ){0,2}"
        r"(?:work|accelerat|help|hit|used|reused|speed)",
        anchor="prompt cach",
        example="prompt caching is enabled by default, but it does not accelerate at all",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

STEPS = (
    Step(
        "For models with a sliding window, keep the full cache: --swa-full (more memory); or more"
        " checkpoints: --ctx-checkpoints 32.",
        safety=Safety.SAFE,
        touches="memory of the GPU",
        undo="leave the option out",
        verify=("bringup", "ps"),
    ),
    Step(
        "Keep the beginning of the prompt the same in each turn: no time of day, tools in one order,"
        " and one slot for one conversation (id_slot, or -np 1).",
        safety=Safety.SAFE,
        touches="your client",
        undo="the former prompt",
        verify=("bringup", "ps"),
    ),
    Step(
        "Update the engine: the handling of these models' caches improved through 2025 and 2026.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("bringup", "ps"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Later turns of a long conversation of which nearly nothing was taken from the cache."""
    turns: list[tuple[int, int]] = []
    asked = 0
    for line in scene.lines.with_anchor("n_tokens"):
        new = re.search(
            r"new prompt, n_ctx_slot = \d+, .*(?:task\.n_tokens|n_prompt_tokens) = (\d+)", line.text
        )
        if new is not None:
            asked = int(new[1])
        kept = re.search(r"memory_seq_rm \[(\d+), end\)|kv cache rm \[(\d+), end\)", line.text)
        if kept is not None and asked:
            turns.append((asked, int(kept[1] or kept[2])))
            asked = 0
    later = [(asked, kept) for asked, kept in turns[1:] if asked >= 1000]
    if len(later) < 2 or any(kept > asked * 0.1 for asked, kept in later):
        return None
    return Evidence(
        saw=f"{len(later)} further prompts, the longest of {max(later)[0]} tokens, hardly any of it reused",
        expected="most of a prompt reused from the turn before",
        sources=("engine log",),
        certainty=Certainty.LIKELY,
        decides="the same request twice",
        strength=3,
    )
