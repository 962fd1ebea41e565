"""The context window is larger than what the model was trained for.

Symptom: "possible training context overflow" at the start; answers to long conversations go wrong.
Reason: a model knows positions only as far as it saw them in training. Beyond that its answers get worse,
    unless the positions are scaled on purpose (YaRN, RoPE scaling).
Sources: https://github.com/ollama/ollama/pull/11175
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
Limits: "n_ctx_seq < n_ctx_train -- the full capacity of the model will not be utilized" is always harmless.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"possible training context overflow",
        anchor="possible training context overflow",
        example="llama_context: n_ctx_per_seq (4096) > n_ctx_train (2048) -- possible training context"
        " overflow",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"model was trained on only \d{1,10} context tokens|maximum context size of the model \(\d{1,10}\)|"
        r"exceeds the (?:model's )?training context",
        anchor="context",
        example="warning: model was trained on only 2048 context tokens (4096 specified)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"requested context size too large for model",
        anchor="requested context size too large",
        example='level=WARN msg="requested context size too large for model" num_ctx=8192 n_ctx_train=2048',
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("output-garbage",)

STEPS = (
    Step(
        "See the context that the model was trained for (n_ctx_train): `bringup show MODEL`.",
        safety=Safety.LOOK,
    ),
    Step(
        "Ask for no more than that: -c with this number, or leave -c out.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former context",
        verify=("bringup", "ps"),
    ),
    Step(
        "Where the model's page allows a longer context by YaRN, give its options: --rope-scaling yarn"
        " --yarn-orig-ctx N --rope-scale F.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="leave the options out",
        verify=("bringup", "ps"),
    ),
)
