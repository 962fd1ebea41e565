"""A forward-compatibility library of CUDA is loaded where it cannot work.

Symptom: error 804 "forward compatibility was attempted on non supported HW", or error 803 "unsupported
    display driver / cuda driver combination".
Reason: the cuda-compat package carries a newer libcuda for data-centre cards with certain drivers. On a
    GeForce or RTX card (804), or with another driver branch (803), that library shadows the one which would
    have worked.
Sources: https://docs.nvidia.com/deploy/cuda-compatibility/
    https://github.com/vllm-project/vllm/issues/4940
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import LIST_LIBRARIES
from bringup.faults.userspace._driver import cuda_starts, is_consumer_card, picked
from bringup.records import replace
from bringup.stack.userspace_libraries import Place

SIGNS = (
    Sign(
        r"(?i)forward compatibility was attempted on non.?supported hw",
        anchor="forward compatibility was attempted",
        example="Error 804: forward compatibility was attempted on non supported HW",
    ),
    Sign(
        r"(?i)(?:CUDA_ERROR|cudaError)_?COMPAT_?NOT_?SUPPORTED_?ON_?DEVICE|COMPAT_NOT_SUPPORTED_ON_DEVICE",
        anchor="compat",
        example="CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    ),
    Sign(
        r"(?i)system has unsupported display driver ?/ ?cuda driver combination",
        anchor="unsupported display driver",
        example="Error 803: system has unsupported display driver / cuda driver combination",
    ),
    Sign(
        r"(?i)(?:CUDA_ERROR|cudaError)_?SYSTEM_?DRIVER_?MISMATCH",
        anchor="mismatch",
        example="CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    ),
    Sign(
        r"(?i)(?:cuInit|cudaGetDeviceCount|cuda init\w{0,40}|nvcuda init).{0,40}\b80[34]\b",
        anchor="80",
        example="cudaGetDeviceCount returned 804",
    ),
)

EXPLAINS = (
    "no-visible-device",
    "running-on-cpu",
)

STEPS = (
    Step(
        "See which libcuda the loader picks: a path with compat is the wrong one here.",
        ("ldconfig", "-p"),
        Safety.LOOK,
    ),
    Step("See the driver and the newest CUDA that it runs.", ("nvidia-smi",), Safety.LOOK),
    Step(
        "Take the compat folder out of LD_LIBRARY_PATH and /etc/ld.so.conf.d, or remove the package "
        "cuda-compat, on the host or in the image.",
        touches="the environment of the program, one file or one package",
        undo="put the folder back",
    ),
    replace(LIST_LIBRARIES, verify=("nvidia-smi",)),
    Step(
        "If the program's CUDA is newer than the driver's: upgrade the host's driver, or take an older "
        "image.",
        safety=Safety.DISRUPTIVE,
        needs_root=True,
        touches="driver packages; works after a reboot",
        undo="install the former driver version and reboot",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """The loader takes libcuda of a compatibility package, for a card that has no such compatibility."""
    library = picked(scene.stack.userspace.cuda_library)
    if library is None or library.place is not Place.COMPATIBILITY or cuda_starts(scene):
        return None
    is_consumer = is_consumer_card(scene)
    return Evidence(
        saw=f"the loader takes {library.path}" + (" and the card is no data-centre card" * is_consumer),
        expected="libcuda of the installed driver",
        sources=(scene.stack.userspace.cuda_library.source,),
        certainty=Certainty.SURE if is_consumer else Certainty.LIKELY,
        decides="" if is_consumer else "a CUDA program's error: 803 or 804",
        strength=9,
    )
