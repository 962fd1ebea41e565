"""The context is divided among, or shared by, several slots.

Symptom: requests fail or are cut although each is shorter than the context that was asked for.
Reason: llama-server answers several requests at once in slots. With -np N each slot gets 1/N of -c;
    without it, since late 2025, four slots share one cache, so that several long requests together
    overflow it.
Sources: https://github.com/lemonade-sdk/lemonade/issues/3276
    https://github.com/gpustack/llama-box/issues/25
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
Limits: several slots alone are no fault; only with an overflow.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need
from bringup.stack.engine_log import EngineLog

_OVERFLOWS = (
    "input truncated",
    "exceeds the available context",
    "context size has been exceeded",
    "truncating input prompt",
    "failed to find free space in the kv cache",
    "prompt is too big",
    "prompt is too long",
    "exceed_context_size_error",
    "truncated = 1",
)

SIGNS = (
    Sign(
        r"(?i)\bslots? (?:\w{1,12} ){1,4}(?:fraction|part|half|quarter)\b",
        anchor="slot",
        example="when using multiple slots each slot receives only a fraction of the context",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\bcontext\b.{0,30} (?:divided|split) ",
        anchor="context",
        example="is the context divided among the slots?",
        certainty=Certainty.LIKELY,
        needs=("slot",),
        is_weak=True,
    ),
)

EXPLAINS = ("prompt-exceeds-context", "context-shift-derails")

STEPS = (
    Step("See slots and window of the running server.", ("bringup", "ps"), safety=Safety.LOOK),
    Step(
        "Serve one request at a time with the whole window: -np 1.",
        safety=Safety.SAFE,
        touches="your start script; requests wait for each other",
        undo="the former number",
        verify=("bringup", "ps"),
    ),
    Step(
        "Or ask for the sum of all slots: -c (tokens for each times slots).",
        safety=Safety.SAFE,
        touches="memory of the GPU",
        undo="the former context",
        verify=("bringup", "ps"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """An overflow, and a window of each slot that is smaller than what was asked for or is shared."""
    log = need(scene.stack.runtime.log)
    if log is None:
        return None
    overflows = (line for anchor in _OVERFLOWS for line in scene.lines.with_anchor(anchor))
    hit = min(overflows, key=lambda line: line.number, default=None)
    slots = log.n_slots if log.n_slots and log.n_slots > 1 else log.asked_n_parallel
    if hit is None or slots is None or slots < 2:
        return None
    why = _why(log, slots, _prompt_tokens(scene))
    if why is None:
        return None
    return Evidence(
        saw=f"{why}; {hit.text.strip()[:160]}",
        expected="a window for each request that its prompt and answer fit into",
        sources=(f"{hit.source}, line {hit.number}",),
        certainty=Certainty.SURE,
        strength=8,
    )


def _prompt_tokens(scene: Scene) -> int | None:
    """Length of the request that overflowed: `request (930 tokens) exceeds`, `"n_prompt_tokens": 930`."""
    hit = scene.lines.last(r"request \((\d+) tokens\)|n_prompt_tokens\"?[:= ]+(\d+)", anchor="tokens")
    return int(hit[1][1] or hit[1][2]) if hit is not None else None


def _why(log: EngineLog, slots: int, prompt_tokens: int | None) -> str | None:
    whole = log.asked_n_ctx or log.n_ctx
    each = log.n_ctx_slot
    if log.kv_unified:
        return f"{slots} slots share one cache of {each or whole or 'unknown'} tokens"
    if whole and each and each < whole and abs(each * slots - whole) <= 256 * slots:
        return f"{whole} tokens are divided among {slots} slots: {each} each"
    if each and whole is None and log.kv_unified is False and prompt_tokens and prompt_tokens < each * slots:
        return f"{each * slots} tokens are divided among {slots} slots: {each} each"
    if whole and (each is None or each == whole):
        return f"{whole} tokens are divided among {slots} slots: {whole // slots} each"
    return None
