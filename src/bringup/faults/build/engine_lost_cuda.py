"""An update replaced a CUDA build of the engine by one for the CPU only.

Symptom: the same command was fast before an update and is slow now; CUDA no longer appears in the log.
Reason: the newer build was made or downloaded without CUDA: a pip upgrade without CMAKE_ARGS, a rebuild whose
    configure step found no nvcc, a release file of the wrong kind.
Sources: https://github.com/ggml-org/llama.cpp/blob/master/docs/build.md
    https://github.com/abetlen/llama-cpp-python#installation-configuration
"""

from __future__ import annotations

import re

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import Known, need

_OTHER_UPDATE = ("driver", "kernel", "dkms")
"""What was updated then is another thing."""

SIGNS = (
    Sign(
        r"(?i)\b(?:can'?t|cannot|won'?t|not|n't|no longer) (?:\w{1,10} ){0,4}gpu\b",
        anchor="gpu",
        example="since I updated it I cannot seem to get the GPU to work",
        certainty=Certainty.LIKELY,
        unless=_OTHER_UPDATE,
        needs=("updat",),
        is_weak=True,
    ),
    Sign(
        r"(?i)\b(?:can'?t|cannot|won'?t|not|n't|no longer) (?:\w{1,10} ){0,4}gpu\b",
        anchor="gpu",
        example="since I upgraded it I cannot seem to get the GPU to work",
        certainty=Certainty.LIKELY,
        unless=_OTHER_UPDATE,
        needs=("upgrad",),
        is_weak=True,
    ),
    Sign(
        r"(?i)\bgpu (?:can'?t|cannot|won'?t|not|is not|isn't|does not|doesn't|no longer)\b",
        anchor="gpu",
        example="updated from 0.2.90 to 0.3.2 and now my GPU won't load",
        certainty=Certainty.LIKELY,
        unless=_OTHER_UPDATE,
        needs=("updat",),
        is_weak=True,
    ),
    Sign(
        r"(?i)\bgpu (?:can'?t|cannot|won'?t|not|is not|isn't|does not|doesn't|no longer)\b",
        anchor="gpu",
        example="upgraded from 0.2.90 to 0.3.2 and now my GPU won't load",
        certainty=Certainty.LIKELY,
        unless=_OTHER_UPDATE,
        needs=("upgrad",),
        is_weak=True,
    ),
)

EXPLAINS = ("cpu-only-build", "running-on-cpu", "gpu-backend-not-the-wanted-one", "backend-not-loaded")

STEPS = (
    Step("See which devices the engine knows now.", ("llama-server", "--list-devices"), safety=Safety.LOOK),
    Step(
        "Install the CUDA kind again: the release with cuda in its name, a build with -DGGML_CUDA=ON,"
        " or for Python CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir"
        " llama-cpp-python.",
        safety=Safety.SAFE,
        touches="the engine's folder or Python package",
        undo="the build that is there now",
        verify=("llama-server", "--list-devices"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A CUDA library that the build beside it no longer uses, or two builds in one text."""
    return _by_files(scene) or _by_log(scene)


def _by_files(scene: Scene) -> Evidence | None:
    """The build was made anew without CUDA: its old CUDA backend still lies beside it, unused."""
    engines = scene.stack.build.engines
    if not isinstance(engines, Known) or "cuda" not in engines.value[0].stale_backends:
        return None
    first = engines.value[0]
    return Evidence(
        saw=f"libggml-cuda.so lies beside {first.program}, whose libggml does not use it",
        expected="a libggml that needs libggml-cuda.so",
        sources=(first.program,),
        strength=10,
    )


def _by_log(scene: Scene) -> Evidence | None:
    """The first build of the text found CUDA, the second knows the CPU only."""
    log = need(scene.stack.runtime.log)
    if log is None or len(set(log.builds)) < 2:
        return None
    cuda = scene.lines.last(r"ggml_cuda_init: found|loaded CUDA backend|using device CUDA", anchor="cuda")
    without = (
        scene.lines.last(r"system_info: [^|]*\| CPU :", anchor="system_info: "),
        scene.lines.last(r"no usable GPU found", anchor="no usable gpu found"),
        scene.lines.last(r"not compiled with GPU", anchor="not compiled with gpu"),
    )
    later = max((hit for hit in without if hit is not None), key=lambda hit: hit[0].number, default=None)
    if cuda is None or later is None or later[0].number <= cuda[0].number:
        return None
    between = [
        line
        for line in scene.lines.lines
        if cuda[0].number < line.number
        and re.search(r"\b(?:build|version)(?: =|:) \d+ \(|build_info: b\d", line.text)
    ]
    if not between:
        return None
    return Evidence(
        saw=f"build {log.builds[0]} found CUDA, build {log.builds[-1]} knows the CPU only",
        expected="CUDA in both",
        sources=(f"{cuda[0].source}, line {cuda[0].number}", f"{later[0].source}, line {later[0].number}"),
        strength=10,
    )
