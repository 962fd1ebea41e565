"""A quantised V cache was asked for without flash attention.

Symptom: "V cache quantization requires flash_attn" and no context; ollama falls back to f16 without an error.
Reason: llama.cpp can read a quantised V cache only in its flash-attention kernels. Flash attention is off
    here, by option or because this architecture, head size or device does not have it.
Sources: https://github.com/ollama/ollama/issues/15043
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"V cache quantization requires flash_attn",
        anchor="v cache quantization requires",
        example="llama_init_from_model: V cache quantization requires flash_attn",
    ),
    Sign(
        r"quantized V cache (?:was requested, but this )?requires [Ff]lash",
        anchor="quantized v cache",
        example="llama_context: quantized V cache was requested, but this requires Flash Attention",
    ),
    Sign(
        r"quantized kv cache requested but flash attention (?:disabled|not)",
        anchor="quantized kv cache requested",
        example='level=WARN msg="quantized kv cache requested but flash attention disabled" type=q8_0',
    ),
    Sign(
        r"[KV] cache type \w{1,40} with block size \d{1,10} does not divide",
        anchor="cache type",
        example="llama_init_from_model: K cache type q8_0 with block size 32 does not divide"
        " n_embd_head_k=80",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"[Ff]lash[ _][Aa]ttention is required for (?:quantized|KV)|quantkv requires flashattention",
        anchor="flash",
        example="Flash attention is required for quantized KV cache",
    ),
    Sign(
        r"KV self size .{1,80}, V \(q[458]_[01]\): ",
        anchor="v (q",
        example="llama_new_context_with_model: KV self size  =  336.00 MiB, K (f16):  256.00 MiB, V"
        " (q4_1):   80.00 MiB",
        certainty=Certainty.LIKELY,
        unless=("flash_attn",),
        needs=("cuda error",),
    ),
)

STEPS = (
    Step(
        "Turn flash attention on: -fa on (OLLAMA_FLASH_ATTENTION=1 for ollama, flash_attn=True in Python).",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former option",
        verify=("bringup", "ps"),
    ),
    Step(
        "Where the model or device does not have it, leave the V cache in f16: take -ctv"
        " (OLLAMA_KV_CACHE_TYPE) out.",
        safety=Safety.SAFE,
        touches="your start script; the cache then takes twice the memory",
        undo="the former option",
        verify=("bringup", "ps"),
    ),
)
