"""An option that this build spells otherwise, or no longer has.

Symptom: a start script that worked for months ends with "invalid argument", "unknown value" or a usage
    text after an update.
Reason: llama.cpp renames options, gives them values and drops them: -fa takes on, off or auto since mid
    2025, the binaries were renamed in 2024, --load-mode replaces --no-mmap and --mlock in 2026. The old
    spelling ends the start.
Sources: https://github.com/mostlygeek/llama-swap/issues/283
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.build._options import refused_option

SIGNS = (
    Sign(
        r"unkn?own value for (?:--flash-attn|-fa)\b",
        anchor="own value for -",
        example="error while handling argument \"-fa\": error: unknown value for --flash-attn: '-c'",
    ),
    Sign(
        r"error while handling argument \"(?:-fa|--flash-attn)\"",
        anchor="error while handling argument",
        example='error while handling argument "--flash-attn": error: unkown value for --flash-attn:'
        " '--ctx-size'",
    ),
    Sign(
        r"the argument has been removed",
        anchor="the argument has been removed",
        example='error while handling argument "--draft-max": the argument has been removed. use'
        " --spec-draft-n-max",
    ),
    Sign(
        r"The binary '[\w.-]+' is deprecated",
        anchor="is deprecated",
        example=" WARNING: The binary 'main' is deprecated.",
    ),
    Sign(
        r"(?:LLAMA|WHISPER)_(?:CUBLAS|CUDA|METAL|NATIVE|RPC|VULKAN|HIPBLAS|CLBLAST|SYCL|"
        r"OPENBLAS)\w{0,40} is deprecated",
        anchor="is deprecated",
        example="  LLAMA_CUBLAS is deprecated and will be removed in the future.",
    ),
    Sign(
        r"Build system changed|Makefile build is deprecated|build has been replaced by CMake",
        anchor="build",
        example="Makefile:6: *** Build system changed:",
    ),
    Sign(
        r"(?:\./|: )(?:main|server|quantize): (?:command )?not found",
        anchor="not found",
        example="bash: ./main: not found",
        needs=("llama",),
    ),
    Sign(
        r"\./(?:main|server|quantize): No such file or directory",
        anchor="no such file or directory",
        example="bash: ./main: No such file or directory",
    ),
    Sign(
        r"Manually-specified variables were not used by the project",
        anchor="manually-specified variables were not used",
        example="  Manually-specified variables were not used by the project:",
        certainty=Certainty.LIKELY,
        needs=("llama_c",),
    ),
    Sign(
        r"make: \*\*\* No targets specified and no makefile found",
        anchor="no targets specified and no makefile",
        example="make: *** No targets specified and no makefile found.  Stop.",
        certainty=Certainty.LIKELY,
        needs=("llama.cpp",),
    ),
)

EXPLAINS = ("server-not-ready",)

STEPS = (
    Step("See how this build spells its options.", ("llama-server", "--help"), safety=Safety.LOOK),
    Step(
        "Change the option in the script or service: `-fa on`, `--load-mode none` for --no-mmap,"
        " llama-cli and llama-server for main and server, -DGGML_CUDA=ON for LLAMA_CUBLAS.",
        safety=Safety.SAFE,
        touches="your start script",
        undo="the former spelling, with the former build",
        verify=("llama-server", "--version"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A refused option of the table, or a client at port 8080 while the engine listens at its new port."""
    refused = refused_option(scene.lines)
    if refused is not None and refused.changed:
        return Evidence(
            saw=f"{refused.option} is refused: {refused.line.text.strip()[:160]}",
            expected=refused.instead,
            sources=(f"{refused.line.source}, line {refused.line.number}",),
            strength=5,
        )
    listens = scene.lines.search(r"(?:listening on|http).*:9931\b", anchor=":9931")
    refusal = scene.lines.search(
        r"8080.*(?i:refused|failed to connect)|(?i:refused|connect to).*8080", anchor="8080"
    )
    if listens is None or refusal is None:
        return None
    return Evidence(
        saw="the engine listens on port 9931, the client asks port 8080",
        expected="one port for both: --port 8080, or the client's address changed",
        sources=(f"{refusal[0].source}, line {refusal[0].number}",),
        strength=10,
    )
