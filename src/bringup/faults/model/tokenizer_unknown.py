"""The engine does not know the tokenizer that the model file names.

Symptom: "unknown pre-tokenizer type: 'x'", or a warning that generation quality will be degraded.
Reason: before text becomes tokens it is split by rules that differ from model to model. This build has no
    rules of the name in the file, because it is older than the model, or the file was converted without a
    name.
Sources: https://github.com/ollama/ollama/issues/4629
    https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/350
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Safety, Sign, Step

SIGNS = (
    Sign(
        r"unknown pre-tokenizer type",
        anchor="unknown pre-tokenizer type",
        example="llama_model_load: error loading model: error loading model vocabulary: unknown"
        " pre-tokenizer type: 'refact'",
    ),
    Sign(
        r"unknown tokenizer: ?['\"]|unknown tokenizer type",
        anchor="unknown tokenizer",
        example="error loading model vocabulary: unknown tokenizer: 'plamo2'",
    ),
    Sign(
        r"BPE pre-tokenizer was not recognized",
        anchor="bpe pre-tokenizer was not recognized",
        example="WARNING:hf-to-gguf:** WARNING: The BPE pre-tokenizer was not recognized!",
    ),
    Sign(
        r"cannot find tokenizer merges in model file",
        anchor="cannot find tokenizer merges",
        example="error loading model vocabulary: cannot find tokenizer merges in model file",
    ),
    Sign(
        r"missing pre-tokenizer type, using: 'default'",
        anchor="missing pre-tokenizer type",
        example="llm_load_vocab: missing pre-tokenizer type, using: 'default'",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"GENERATION QUALITY WILL BE DEGRADED",
        anchor="generation quality will be degraded",
        example="llm_load_vocab: GENERATION QUALITY WILL BE DEGRADED!",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"error loading model(?: vocabulary)?: (?:_Map_base::at|unordered_map::at|invalid"
        r" unordered_map|invalid codepoint)",
        anchor="error loading model",
        example="error loading model: _Map_base::at",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"error loading model vocabulary: unknown tokenizer",
        anchor="unknown tokenizer",
        example="error loading model vocabulary: unknown tokenizer",
    ),
    Sign(
        r"error loading model vocabulary: [^\s]",
        anchor="error loading model vocabulary: ",
        example="llama_model_load: error loading model: error loading model vocabulary: Index out of array"
        " bounds in precompiled charsmap!",
        certainty=Certainty.LIKELY,
        unless=(
            "cannot find tokenizer vocab",
            "key not found in model",
        ),
    ),
)

STEPS = (
    Step("See the build's number and date.", ("llama-server", "--version"), safety=Safety.LOOK),
    Step(
        "Update the engine (or the program that bundles it) and load again.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="the former build",
        verify=("llama-server", "--version"),
    ),
    Step(
        "Take a newer conversion of the model where the file names no pre-tokenizer.",
        safety=Safety.SAFE,
        touches="another model file",
        undo="delete it",
        verify=("llama-server", "--version"),
    ),
)
