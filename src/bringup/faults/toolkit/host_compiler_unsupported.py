"""The C++ compiler is newer than nvcc accepts.

Symptom: "unsupported GNU version! gcc versions later than N are not supported", or errors inside the system's
    C++ headers as soon as nvcc compiles.
Reason: nvcc compiles the host half of each file with the system's compiler and knows those up to the version
    of its own time. Distributions move faster than toolkits.
Sources: https://docs.nvidia.com/cuda/cuda-installation-guide-linux/
    https://github.com/ggml-org/llama.cpp/issues/9205
Limits: errors on cospi, sinpi or rsqrt are headers against glibc (toolkit-glibc-conflict): another gcc does
    not help.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.toolkit._toolkits import first_toolkit
from bringup.faults.userspace._driver import has_cuda_engine
from bringup.reading import Known

_GLIBC = ("exception specification is incompatible",)

SIGNS = (
    Sign(
        r"(?i)unsupported (?:GNU|clang|Microsoft Visual Studio|PGI|ICC) version",
        anchor="unsupported",
        example="#error -- unsupported GNU version! gcc versions later than 13 are not supported!",
        unless=_GLIBC,
    ),
    Sign(
        r"(?i)(?:gcc|clang) versions? later than \S{1,8} are not supported",
        anchor="are not supported",
        example="error: gcc versions later than 12 are not supported!",
        unless=_GLIBC,
    ),
    Sign(
        r"(?i)host compiler.{0,60}(?:not supported|unsupported|is not compatible|required version)",
        anchor="host compiler",
        example="The CUDA host compiler g++ 15 is not supported by nvcc",
        unless=_GLIBC,
    ),
    Sign(
        r"(?i)the current installed version of (?:g\+\+|gcc) .{0,40}(?:is greater than the maximum|is not)",
        anchor="current installed version",
        example="RuntimeError: The current installed version of g++ (14.2.0) is greater than the maximum "
        "required",
    ),
    Sign(
        r"/usr/include/(?:c\+\+|x86_64-linux-gnu/c\+\+|aarch64-linux-gnu/c\+\+)/\S{1,60}\(\d{1,10}\): error: "
        r".{0,60}"
        r"(?:identifier|parameter packs|undefined|not expanded|expected)",
        anchor="/c++/",
        example="/usr/include/c++/11/bits/std_function.h(435): error: parameter packs not expanded with "
        "'...':",
        certainty=Certainty.LIKELY,
        unless=_GLIBC,
    ),
    Sign(
        r"/c\+\+/\S{1,60}:\d{1,10}:\d{1,10}: error: parameter packs not expanded",
        anchor="parameter packs not expanded",
        example="/usr/include/c++/11/bits/std_function.h:435:145: error: parameter packs not expanded with"
        " '...':",
        unless=_GLIBC,
    ),
    Sign(
        r"(?i)cc1plus.{0,30}no such file or|cannot execute .{0,2}cc1plus.{0,2}: ",
        anchor="cc1plus",
        example="gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory",
        certainty=Certainty.LIKELY,
        needs=("nvcc",),
    ),
    Sign(
        r"identifier \"(?:__float128|_Float(?:16|32|64|128)x?|__builtin_\w{1,40}|__bf16|__is_\w{1,40}"
        r"|__remove_\w{1,40})\" is undefined",
        anchor="is undefined",
        example='error: identifier "_Float32" is undefined',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\"__T0\" has not been declared",
        anchor="has not been declared",
        example='error: "__T0" has not been declared',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"error: user-defined literal operator not found",
        anchor="user-defined literal operator not found",
        example="/usr/include/c++/14/limits(1877): error: user-defined literal operator not found",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("cpu-only-build", "running-on-cpu")

STEPS = (
    Step("See the system's compiler.", ("gcc", "--version"), Safety.LOOK),
    Step("See the toolkit's version.", ("nvcc", "--version"), Safety.LOOK),
    Step(
        "Install an older g++ beside the system's, of a version that the message names (package g++-13 on "
        "Debian and "
        "Ubuntu, gcc13 on Fedora and Arch).",
        safety=Safety.SAFE,
        touches="one more compiler; the default stays",
        undo="remove the package",
    ),
    Step(
        "Tell the build: -DCMAKE_CUDA_HOST_COMPILER=/usr/bin/g++-13 (or CUDAHOSTCXX), in a new build folder.",
        safety=Safety.SAFE,
        touches="one build option",
        undo="take the option out",
    ),
    Step(
        "Or take a newer CUDA toolkit that accepts this compiler (if it still knows the card).",
        safety=Safety.SAFE,
        touches="a new folder below /usr/local",
        undo="remove the toolkit's package",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Nothing with CUDA was built yet, and the system's g++ is newer than the first toolkit accepts."""
    toolkit, compiler = first_toolkit(scene), scene.stack.toolkit.host_compiler
    if toolkit is None or not isinstance(compiler, Known) or has_cuda_engine(scene):
        return None
    most, version = toolkit.gcc_most, compiler.value.version
    if not isinstance(most, Known) or not isinstance(version, Known) or version.value <= most.value:
        return None
    flags = scene.stack.toolkit.variable("NVCC_PREPEND_FLAGS") + scene.stack.toolkit.variable(
        "NVCC_APPEND_FLAGS"
    )
    if "clang" in compiler.value.path or "ccbin" in flags or "allow-unsupported" in flags:
        return None
    return Evidence(
        saw=f"{compiler.value.path} is gcc {version.value}; {toolkit.folder} accepts up to {most.value}",
        expected=f"a g++ up to {most.value} for nvcc",
        sources=(version.source, most.source),
        certainty=Certainty.LIKELY,
        decides="whether a build stops with 'unsupported GNU version'",
        strength=3,
    )
