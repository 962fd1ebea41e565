"""The engine does not know the architecture that the model file names.

Symptom: "unknown model architecture: 'x'" right at the start of loading.
Reason: each kind of network has code of its own in llama.cpp. This build has none for the one that the
    file declares: it is older than the model, or the file is no language model, or its name for the
    architecture is another program's.
Sources: https://github.com/ollama/ollama/issues/11816
    https://github.com/ollama/ollama/issues/4002
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"(?:unknown|unsupported) (?:model )?architecture:? ['\"\\]*",
        anchor="architecture",
        example="llama_model_load: error loading model: error loading model architecture: unknown"
        " model architecture: 'gpt-oss'",
    ),
    Sign(
        r"[Mm]odel architecture .{0,60} (?:is )?not (?:yet )?supported|Model \w{1,40} is not supported",
        anchor="not ",
        example="ERROR:hf-to-gguf:Model Gemma3nForConditionalGeneration is not supported",
    ),
    Sign(
        r"Architecture '?\"?\w{1,40}'?\"? not supported",
        anchor="not supported",
        example="NotImplementedError: Architecture 'Qwen3NextForCausalLM' not supported!",
    ),
    Sign(
        r"unknown projector type",
        anchor="unknown projector type",
        example="clip_init: failed to load model: unknown projector type: qwen2.5vl_merger",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"does not recognize this architecture",
        anchor="does not recognize this architecture",
        example="ValueError: The checkpoint you are trying to load has model type `qwen3_next` but"
        " Transformers does not recognize this architecture.",
    ),
    Sign(
        r"unsupported model architecture\b|unknown model architecture\s*$",
        anchor="model architecture",
        example="Error: unsupported model architecture",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"CLIP cannot be used as main model",
        anchor="clip cannot be used as main model",
        example="CLIP cannot be used as main model, use it with --mmproj instead",
    ),
)

EXPLAINS = ("model-tensors-wrong", "tokenizer-unknown")

STEPS = (
    Step("See the build's number and date.", ("llama-server", "--version"), safety=Safety.LOOK),
    Step("See what the file declares: `bringup show MODEL`.", safety=Safety.LOOK),
    Step(
        "Update the engine (for ollama, LM Studio or a binding: that program, which bundles it) and"
        " load again. When the name is empty or clip, t5, wan or flux, the file is not the language"
        " model: take the right one.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
)
