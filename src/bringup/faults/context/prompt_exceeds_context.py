"""The conversation is longer than the context window.

Symptom: HTTP 400 "exceeds the available context size", a model that forgets the beginning, or ollama's quiet
    "truncating input prompt".
Reason: all that the model sees, its answer included, must fit into the window that was chosen at the
    start. What is longer is refused by llama.cpp and cut without a word by ollama, which then keeps only
    half of the window.
Sources: https://github.com/RooCodeInc/Roo-Code/issues/1372
    https://github.com/ollama/ollama/issues/17427
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene

SIGNS = (
    Sign(
        r"exceed_context_size_error|exceeds the available context size",
        anchor="context",
        example='{"error":{"code":400,"message":"request (18000 tokens) exceeds the available context'
        " size (8192"
        ' tokens), try increasing it","type":"exceed_context_size_error"}}',
    ),
    Sign(
        r"truncating input (?:prompt|messages?)",
        anchor="truncating input",
        example='level=WARN source=runner.go:129 msg="truncating input prompt" limit=2048 prompt=16101'
        " keep=4 new=2048",
    ),
    Sign(
        r"Requested tokens(?: \(\d{1,10}\))? exceed context window of \d{1,10}",
        anchor="exceed context window of",
        example="ValueError: Requested tokens (2100) exceed context window of 2048",
    ),
    Sign(
        r"prompt is too long(?: \(\d{1,10} tokens, max \d{1,10}\)|: \d{1,10} tokens > \d"
        r"| for (?:the )?(?:context|model))",
        anchor="prompt is too long",
        example="main: error: prompt is too long (5120 tokens, max 4092)",
    ),
    Sign(
        r"input (?:length|prompt)? ?(?:is longer than|exceeds) (?:the )?(?:maximum )?context (?:length|size)",
        anchor="context",
        example='{"error":"the input length exceeds the context length"}',
    ),
    Sign(
        r"context_length_exceeded|maximum context length is \d{1,10} tokens|"
        r"exceeds? the (?:model's )?maximum context",
        anchor="context",
        example="This model's maximum context length is 4096 tokens. However, you requested 5012 tokens",
    ),
    Sign(
        r"tokens to keep from the initial prompt is greater than the context length|"
        r"loaded with context length of only \d{1,10} tokens",
        anchor="context length",
        example="Trying to keep the first 9612 tokens when context the overflows. However, the model"
        " is loaded with context length of only 4096 tokens, which is not enough.",
    ),
    Sign(
        r"(?i)input \(\d{1,10} tokens\) is longer than the model's context|"
        r"model's context length is only \d{1,10} tokens|max_tokens\W{1,3}exceed context limit: \d",
        anchor="context",
        example="The input (10060 tokens) is longer than the model's context length (8192 tokens).",
    ),
    Sign(
        r"input is too (?:large|big) to process|input \(\d{1,10} tokens\) is too large to process|"
        r"input prompt is too big compared to KV size",
        anchor="input",
        example="input (1024 tokens) is too large to process. increase the physical batch size"
        " (current batch size: 512)",
    ),
    Sign(
        r"context shift is disabled|Context size has been exceeded",
        anchor="context s",
        example="Context size has been exceeded.",
    ),
    Sign(
        r"context size exceeded",
        anchor="context size exceeded",
        example="context size exceeded",
    ),
    Sign(
        r"input truncated(?:,| \|) n_ctx ?= ?\d{1,10}",
        anchor="input truncated",
        example="slot update_slots: id  0 | task 7 | input truncated, n_ctx = 2048, n_keep = 0, n_left"
        " = 2048",
    ),
    Sign(
        r"failed to find free space in the KV cache(?!, retrying)|failed to find a memory slot for batch",
        anchor="failed to find",
        example="decode: failed to find a memory slot for batch of size 512",
        certainty=Certainty.LIKELY,
        unless=("all slots are idle",),
    ),
    Sign(
        r"stop processing: .{0,120}truncated = 1",
        anchor="truncated = 1",
        example="slot release: id  0 | task 12 | stop processing: n_past = 4095, truncated = 1",
    ),
    Sign(
        r"context full and n_predict == -\d",
        anchor="context full and n_predict",
        example="main: context full and n_predict == -1 => stopping",
    ),
    Sign(
        r"[Rr]eached context length of \d{1,10} tokens",
        anchor="eached context length of",
        example="Error: Reached context length of 4096 tokens, but this model does not currently support"
        " mid-generation context overflow",
    ),
    Sign(
        r"llama_decode returned 1\b|failed to decode,? ret(?:urned)? ?=? ?1\b",
        anchor="decode",
        example="RuntimeError: llama_decode returned 1",
        certainty=Certainty.LIKELY,
        unless=("all slots are idle",),
    ),
    Sign(
        r"KV cache is full\b",
        anchor="kv cache is full",
        example="update_slots : failed to decode the batch: KV cache is full - try increasing it via the"
        " context size",
    ),
    Sign(
        r"Restored prompt does not fit in the slot context|is larger than the max context size",
        anchor="context",
        example="input (9000 tokens) is larger than the max context size (4096 tokens). skipping",
    ),
    Sign(
        r"n_tokens ?= ?\d{1,10} > (?:n_ctx|size) ?= ?\d{1,10}",
        anchor="n_tokens",
        example="llama_kv_cache_find_slot: n_tokens=2049 > n_ctx=2048",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"GGML_ASSERT\(n_tokens(?:_all)? <= (?:cparams\.|params\.)?n_u?batch",
        anchor="ggml_assert(n_tokens",
        example="llama-context.cpp:990: GGML_ASSERT(n_tokens_all <= cparams.n_batch) failed",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"Prompt exceeds n_ctx: \d{1,10} > \d{1,10}",
        anchor="prompt exceeds n_ctx",
        example="ValueError: Prompt exceeds n_ctx: 5000 > 4096",
    ),
    Sign(
        r"(?i)\bforget\w{0,4} .{0,40}\b(?:earlier|beginning|previous|system prompt|instruction|context|"
        r"half|first)",
        anchor="forget",
        example="after some turns the model forgets the earlier messages",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\bnum_ctx\b.{0,40}\b(?:default|too (?:small|low)|only)\b",
        anchor="num_ctx",
        example="num_ctx is set to the default, which does not even hold the system prompt",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:prompt|request|input|message|conversation)s?\b.{0,20}\bexceed(?:s|"
        r"ed)? (?:\w{1,12} ){0,4}context (?:length|window|size|limit)",
        anchor="exceed",
        example="API Error: 400 Prompt exceeds maximum context length",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("output-garbage", "context-shift-derails")

STEPS = (
    Step("See the window of the model that ollama runs.", ("ollama", "ps"), safety=Safety.LOOK),
    Step("See slots and window of the running server.", ("bringup", "ps"), safety=Safety.LOOK),
    Step(
        "Ask for a larger window: -c 32768 in llama-server, num_ctx or OLLAMA_CONTEXT_LENGTH in"
        " ollama, as far as the memory goes and the model was trained.",
        safety=Safety.SAFE,
        touches="memory of the GPU",
        undo="the former context",
        verify=("bringup", "ps"),
    ),
    Step(
        "Send less: drop old turns, or have the client summarise them.",
        safety=Safety.SAFE,
        touches="your client",
        undo="the former setting",
        verify=("bringup", "ps"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A prompt that ollama evaluated as half of its window, because it was longer than the whole."""
    window = scene.lines.last(r"\d+% (?:GPU|CPU|CPU/GPU)\s+(\d{4,7})\s", anchor="% ")
    counts = [
        (line, int(digits))
        for line in scene.lines.with_anchor("prompt eval count:")
        if (digits := "".join(c for c in line.text.split("count:")[1].split("token")[0] if c.isdigit()))
    ]
    if window is None:
        return None
    half = int(window[1][1]) // 2
    cut = next((pair for pair in counts if 0 <= pair[1] - half <= 16), None)
    if cut is None:
        return None
    return Evidence(
        saw=f"a window of {2 * half} tokens and a prompt evaluated as {cut[1]}: half of it was dropped",
        expected="the whole prompt",
        sources=(f"{cut[0].source}, line {cut[0].number}",),
        certainty=Certainty.LIKELY,
        decides="ollama ps",
        strength=5,
    )
