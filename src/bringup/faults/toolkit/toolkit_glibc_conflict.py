"""The toolkit's headers and the system's C library declare the same functions differently.

Symptom: "exception specification is incompatible with that of previous function" for cospi, sinpi, rsqrt and
    the like.
Reason: glibc 2.41 and newer declare these functions with noexcept; CUDA's crt/math_functions.h up to 12.9
    declares them without. The compiler's version has nothing to do with it.
Sources: https://github.com/opencv/opencv/issues/27111
    https://github.com/LostRuins/koboldcpp/issues/1521
"""

from __future__ import annotations

from bringup.faults._fault import Safety, Sign, Step

SIGNS = (
    Sign(
        r"(?i)exception specification is incompatible with that of previous function",
        anchor="exception specification is incompatible",
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
        "Take CUDA 13 or newer, whose headers agree with glibc 2.41 (if your card is 7.5 or newer).",
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
