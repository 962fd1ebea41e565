"""The file is no GGUF model: a web page, a git-LFS pointer, or weights of another format.

Symptom: "invalid magic characters" or "invalid file magic"; the file is often a few KiB small.
Reason: a GGUF file begins with the four letters GGUF. This one begins with something else, and these
    first bytes tell what was saved in its place.
Sources: https://github.com/OpenBMB/MiniCPM/issues/250
    https://github.com/ggml-org/llama.cpp/issues/3889
    https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
Limits: GGML files of before August 2023 are `gguf-version-unsupported`; no magic at all is a folder or an
    empty file.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.model._magic import Found, found_magic

SIGNS = (
    Sign(
        r"invalid file magic",
        anchor="invalid file magic",
        example="Error: invalid file magic",
    ),
    Sign(
        r"was not in GGUF format",
        anchor="was not in gguf format",
        example="Error: supplied file was not in GGUF format",
    ),
    Sign(
        r"GGUF magic invalid|[Ii]nvalid GGUF magic|magic (?:bytes|number)?:? ?(?:is )?not GGUF|"
        r"not a (?:valid )?GGUF",
        anchor="gguf",
        example="ValueError: GGUF magic invalid",
    ),
    Sign(
        r"version https://git-lfs\.github\.com/spec/v1",
        anchor="git-lfs.github.com/spec",
        example="version https://git-lfs.github.com/spec/v1",
    ),
    Sign(
        r"\.gguf: (?:HTML document|ASCII text|XML|JSON)",
        anchor=".gguf: ",
        example="model.gguf: HTML document, ASCII text, with very long lines",
    ),
    Sign(
        r"No LM Runtime found for model format '?\w{0,12}[Ss]afetensors",
        anchor="no lm runtime found for model format ",
        example="No LM Runtime found for model format 'torchSafetensors'!",
    ),
)

EXPLAINS = ("model-tensors-wrong",)

STEPS = (
    Step("See what the file is (`file MODEL`) and how large (`ls -l MODEL`).", safety=Safety.LOOK),
    Step(
        "For a web page: take the address with /resolve/ instead of /blob/. For a pointer: `git lfs"
        " install` and `git lfs pull`, or download the file itself. For safetensors: convert it or"
        " take a GGUF repository.",
        safety=Safety.SAFE,
        touches="the model file",
        undo="none needed: the file is no model",
        verify=("bringup", "models"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Decode the magic that the loader printed."""
    magic = found_magic(scene.lines)
    if magic is None or magic.found not in (
        Found.WEB_PAGE,
        Found.LFS_POINTER,
        Found.OTHER_FORMAT,
        Found.STRANGE,
    ):
        return None
    return Evidence(
        saw=f"the file begins with {magic.text!r}: {magic.found.value}",
        expected="GGUF",
        sources=(f"{magic.line.source}, line {magic.line.number}",),
        certainty=Certainty.LIKELY if magic.found is Found.STRANGE else Certainty.SURE,
        decides="file MODEL" if magic.found is Found.STRANGE else "",
        strength=8,
    )
