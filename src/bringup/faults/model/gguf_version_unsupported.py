"""The model file is of a format that this engine no longer reads, or of the other byte order.

Symptom: "invalid magic number 67676a74", "GGUFv1 is no longer supported", "bad GGUF version", or a .bin
    file from 2023.
Reason: llama.cpp replaced its GGML formats by GGUF in August 2023 and dropped GGUF version 1 since. Files
    of then, and files written for a big-endian machine, cannot be read.
Sources: https://github.com/continuedev/ggml-server-example/issues/4
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.model._magic import Found, found_magic

SIGNS = (
    Sign(
        r"GGUFv1 is no longer supported|GGUF ?v1 is (?:no longer|not) supported",
        anchor="gguf",
        example="gguf_init_from_file: GGUFv1 is no longer supported. please use a more up-to-date version",
    ),
    Sign(
        r"bad GGUF version|unsupported (?:GGUF|gguf|file) version",
        anchor="version",
        example="gguf_init_from_file_impl: bad GGUF version: 0",
        unless=("only supports up to",),
    ),
    Sign(
        r"mismatch between the host and model endianness",
        anchor="endianness",
        example="failed to load model: this GGUF file version 50331648 is extremely large, is there a"
        " mismatch between the host and model endianness?",
    ),
    Sign(
        r"this format is no longer supported|unsupported format version",
        anchor="format",
        example="error loading model: this format is no longer supported (see"
        " https://github.com/ggerganov/llama.cpp/pull/1305)",
    ),
    Sign(
        r"too old, regenerate your model files",
        anchor="too old, regenerate",
        example="llama_model_load: invalid model file 'ggml-model-q4_0.bin' (too old, regenerate your"
        " model files!)",
    ),
    Sign(
        r"invalid model file '.{0,120}' \(bad magic\)",
        anchor="(bad magic)",
        example="llama_model_load: invalid model file 'models/7B/ggml-model-q4_0.bin' (bad magic)",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"bad magic \[got 0x6767[0-9a-f]{4} want 0x6767",
        anchor="bad magic [got",
        example="error loading model: bad magic [got 0x67676d66 want 0x67676a74]",
    ),
    Sign(
        r"Must be an old style ggml file",
        anchor="must be an old style ggml file",
        example="Exception: Invalid file magic. Must be an old style ggml file.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"You are using an outdated GGUF",
        anchor="you are using an outdated gguf",
        example="Exception: You are using an outdated GGUF, please download a new one.",
    ),
)

EXPLAINS = ("gguf-bad-magic",)

STEPS = (
    Step("See the path in the error line: it may not be the file that you named.", safety=Safety.LOOK),
    Step(
        "Take a GGUF of the model; most were published again. For an old GGML file of your own,"
        " convert_llama_ggml_to_gguf.py of the llama.cpp sources converts it.",
        safety=Safety.SAFE,
        touches="a new model file",
        undo="delete the new file",
        verify=("bringup", "models"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The magic that the loader printed is that of an old GGML file."""
    magic = found_magic(scene.lines)
    if magic is None or magic.found is not Found.OLD_GGML:
        return None
    return Evidence(
        saw=f"the file begins with {magic.text!r}: {magic.found.value}",
        expected="GGUF",
        sources=(f"{magic.line.source}, line {magic.line.number}",),
        strength=8,
    )
