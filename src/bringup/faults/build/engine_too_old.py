"""This build of the engine is older than the option or the model that it is given.

Symptom: an option that the manual describes is "invalid" or "unknown", or a good model file is refused
    although others load it.
Reason: llama.cpp gains options and model features every week and old builds refuse what they do not know.
    Often another, older llama-server stands first on PATH.
Sources: https://github.com/ggml-org/llama.cpp/issues/10759
    https://github.com/abetlen/llama-cpp-python/issues/902
Limits: an option that was renamed or removed since is `engine-flag-changed`.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.build._options import refused_option
from bringup.faults.model._magic import Found, found_magic

SIGNS = (
    Sign(
        r"unknown \(magic, version\) combination: 46554747",
        anchor="46554747",
        example="error loading model: unknown (magic, version) combination: 46554747, 00000002; is"
        " this really a GGML file?",
    ),
    Sign(
        r"requires a newer version of Ollama|not supported by your version of Ollama",
        anchor="version of ollama",
        example="The model you are attempting to pull requires a newer version of Ollama.",
    ),
    Sign(
        r"pull model manifest: 412\b",
        anchor="manifest: 412",
        example="Error: pull model manifest: 412:",
    ),
    Sign(
        r"this GGUF file (?:is )?version \d{1,10} but this software only supports up to",
        anchor="only supports up to",
        example="gguf_init_from_file_impl: this GGUF file is version 4 but this software only supports"
        " up to version 3",
    ),
    Sign(
        r"got an unexpected keyword argument '(?:flash_attn|type_k|type_v|n_gpu_layers|swa_full|"
        r"kv_unified|op_offload)'",
        anchor="unexpected keyword argument",
        example="TypeError: Llama.__init__() got an unexpected keyword argument 'flash_attn'",
    ),
    Sign(
        r"unknown speculative (?:decoding )?type",
        anchor="unknown speculative",
        example="unknown speculative type: draft-mtp",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("server-not-ready",)

STEPS = (
    Step("See the build's number and date.", ("llama-server", "--version"), safety=Safety.LOOK),
    Step(
        "See in your shell whether another llama-server comes first: `which -a llama-server`.",
        safety=Safety.LOOK,
    ),
    Step(
        "Update the engine to a current release (for ollama or a binding: update that program), then"
        " start anew.",
        safety=Safety.SAFE,
        touches="the engine's folder",
        undo="keep the former build beside it",
        verify=("llama-server", "--version"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A refused option that no build dropped, a good magic refused, or one tensor too many."""
    refused = refused_option(scene.lines)
    if refused is not None and not refused.changed:
        return Evidence(
            saw=f"{refused.option} is refused: {refused.line.text.strip()[:160]}",
            expected="an engine that knows this option and its value",
            sources=(f"{refused.line.source}, line {refused.line.number}",),
            certainty=Certainty.LIKELY,
            decides="llama-server --version",
        )
    magic = found_magic(scene.lines)
    if magic is not None and magic.found is Found.GGUF:
        return Evidence(
            saw=f"{magic.line.text.strip()[:160]}: {magic.found.value}",
            expected="an engine that reads GGUF (since August 2023)",
            sources=(f"{magic.line.source}, line {magic.line.number}",),
            strength=8,
        )
    hit = scene.lines.search(
        r"wrong number of tensors;\s{1,4}expected (\d+), got (\d+)", anchor="wrong number of tensors"
    )
    if hit is None or abs(int(hit[1][1]) - int(hit[1][2])) != 1:
        return None
    return Evidence(
        saw=f"the file holds {hit[1][1]} tensors, the engine used {hit[1][2]}: one that it does not know",
        expected="an engine that knows every tensor (Llama 3.1 and newer carry rope_freqs)",
        sources=(f"{hit[0].source}, line {hit[0].number}",),
        strength=10,
    )
