"""The generation ran past the window by shifting the context, and derailed.

Symptom: endless or confused answers after "slot context shift", or an abort "does not support K-shift".
Reason: when the window is full, a context shift throws away the older half and goes on. The model then
    lacks what the answer was about, and models whose cache cannot be shifted (MLA, some with quantised
    caches) print garbage or stop.
Sources: https://github.com/ggml-org/llama.cpp/issues/8498
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"does(?: not|n't) support K-shift|K-shift (?:is )?not supported",
        anchor="k-shift",
        example="llama.cpp:17700: Deepseek2 does not support K-shift",
    ),
    Sign(
        r"context shift\b.{0,12}n_keep|slot is full.{0,120}shift|context limit hit - shifting",
        anchor="shift",
        example="slot context shift, n_keep = 1, n_left = 3998, n_discard = 1999",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"EOS-less generation infinite loop",
        anchor="eos-less generation",
        example="Limiting generated tokens to n_ctx_train to avoid EOS-less generation infinite loop",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"swap[_ ]?context|context full, swapping|context full and context shift",
        anchor="context",
        example="main: context full and context shift is disabled => stopping",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)\bcontext[- ]shift\w{0,3}\b.{0,40}\b(?:repeat|loop|gibber|garbage|never|ignore)",
        anchor="shift",
        example="after the context shift the model starts repeating itself",
        certainty=Certainty.LIKELY,
        is_weak=True,
    ),
)

EXPLAINS = ("output-garbage",)

STEPS = (
    Step(
        "Turn the shift off (--no-context-shift, the default of current builds) and limit the answer:"
        " -n 4096, or max_tokens in the request.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="--context-shift",
        verify=("bringup", "ps"),
    ),
    Step(
        "Ask for a larger window: -c 32768, as far as memory and training go.",
        safety=Safety.SAFE,
        touches="memory of the GPU",
        undo="the former context",
        verify=("bringup", "ps"),
    ),
)
