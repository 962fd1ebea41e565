"""The toolkit's headers and the system's C library declare the same functions differently.

Symptom: "exception specification is incompatible with that of previous function" for cospi, sinpi, rsqrt and
    the like.
Reason: glibc 2.41 declares cospi and sinpi with noexcept, 2.42 rsqrt too; crt/math_functions.h of CUDA up to
    12.9 (rsqrt: 13.0) declares them without. The compiler's version has nothing to do with it.
Sources: https://github.com/opencv/opencv/issues/27111
    https://github.com/LostRuins/koboldcpp/issues/1521
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.toolkit._toolkits import first_toolkit
from bringup.faults.userspace._driver import has_cuda_engine
from bringup.reading import Known

SIGNS = (
    Sign(
        r"(?i)specification is incompatible with that of previous function",
        anchor="specification is incompatible",
        example="/usr/include/bits/mathcalls.h(79): error: exception specification is incompatible with "
        "that of previous"
        ' function "cospi" (declared at line 2601 of /usr/local/cuda/include/crt/math_functions.h)',
    ),
    Sign(
        r"(?i)(?:math_functions\.h|mathcalls\.h).{0,120}\b(?:cospi|sinpi|cospif|sinpif|rsqrt|rsqrtf)\b",
        anchor="math",
        example="math_functions.h(2556): error: previous declaration of 'double sinpi(double)' differs",
    ),
    Sign(
        r"extern (?:double|float) (?:cospi|sinpi|rsqrt)f? \((?:double|float) __x\) noexcept",
        anchor="__x) noexcept",
        example="   extern float sinpif (float __x) noexcept (true); extern float __sinpif (float __x)",
    ),
    Sign(
        r"(?i)declaration of .{0,30}\b(?:cospi|sinpi|rsqrt)f?\b.{0,60}(?:different exception "
        r"specifier|noexcept)",
        anchor="declaration of",
        example="error: declaration of 'double rsqrt(double) noexcept (true)' has a different exception "
        "specifier",
    ),
)

EXPLAINS = ("host-compiler-unsupported", "cpu-only-build", "running-on-cpu")

STEPS = (
    Step("See the C library's version.", ("ldd", "--version"), Safety.LOOK),
    Step("See the toolkit's version.", ("nvcc", "--version"), Safety.LOOK),
    Step(
        "Take a newer CUDA, whose headers agree: 13.0 with glibc 2.41, a later 13 with 2.42 (for cards "
        "from 7.5).",
        safety=Safety.SAFE,
        touches="a new folder below /usr/local",
        undo="remove the toolkit's package",
    ),
    Step(
        "Or build in a container with an older distribution (a CUDA 12 devel image) and copy the result out.",
        safety=Safety.SAFE,
        touches="nothing outside the container",
        undo="delete the image",
    ),
    Step(
        "Or add noexcept(true) to the declarations that the errors name in the toolkit's "
        "crt/math_functions.h.",
        safety=Safety.RISKY,
        needs_root=True,
        touches="a header that the toolkit's package owns",
        undo="install the toolkit's package again",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Nothing with CUDA was built yet, and the first toolkit's headers contradict this C library."""
    toolkit, glibc = first_toolkit(scene), scene.stack.toolkit.glibc
    if toolkit is None or not isinstance(glibc, Known) or has_cuda_engine(scene):
        return None
    clashes = toolkit.clashes_from
    if not isinstance(clashes, Known) or glibc.value < clashes.value:
        return None
    return Evidence(
        saw=f"glibc {glibc.value[0]}.{glibc.value[1]}; {clashes.source} contradicts "
        f"{clashes.value[0]}.{clashes.value[1]} and newer",
        expected="headers that declare cospi, sinpi and rsqrt as the C library does",
        sources=(glibc.source, clashes.source),
        certainty=Certainty.LIKELY,
        decides="whether a build stops with 'exception specification is incompatible'",
        strength=4,
    )
