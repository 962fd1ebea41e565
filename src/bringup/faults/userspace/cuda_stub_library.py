"""The toolkit's stub of libcuda is loaded instead of the driver.

Symptom: error 34 "CUDA driver is a stub library", or a loaded libcuda whose path contains /stubs/.
Reason: the toolkit ships an empty libcuda in lib64/stubs so that programs can be linked on machines without a
    card. It answers every call with an error; with that folder in LD_LIBRARY_PATH or the loader's list it
    wins over the real one.
Sources: https://github.com/numba/numba/issues/9732
    https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html
    https://github.com/hashcat/hashcat (src/ext_cuda.c prints a call's name and its number)
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults._steps import LIST_LIBRARIES
from bringup.faults.userspace._driver import picked
from bringup.stack.userspace_libraries import Place

SIGNS = (
    Sign(
        r"(?i)cuda driver is a stub library",
        anchor="stub library",
        example="CUDA error: CUDA driver is a stub library",
    ),
    Sign(
        r"(?i)CUDA_ERROR_STUB_LIBRARY|cudaErrorStubLibrary|NVML.{0,20}stub library",
        anchor="stub",
        example="CUDA_ERROR_STUB_LIBRARY",
    ),
    Sign(
        r"(?i)you should always run with libnvidia-ml\.so that is installed with your nvidia display driver",
        anchor="always run with libnvidia-ml.so",
        example="You should always run with libnvidia-ml.so that is installed with your NVIDIA Display "
        "Driver.",
    ),
    Sign(
        r"(?:libcuda|libnvidia-ml)\.so(?:\.1)? ?(?:\([^)]{0,30}\) ?)?=> ?\S{1,120}/stubs/",
        anchor="/stubs/",
        example="\tlibcuda.so.1 => /usr/local/cuda/lib64/stubs/libcuda.so.1 (0x00007f3c)",
    ),
    Sign(
        r"^\s*/\S{1,120}/stubs/libcuda\.so(?:\.1)?\s*$",
        anchor="/stubs/libcuda.so",
        example="                /usr/local/cuda-11.8/targets/x86_64-linux/lib/stubs/libcuda.so",
    ),
    Sign(
        r"(?i)(?:cuInit|cudaGetDeviceCount|cuda[ _]init\w{0,12}).{0,24}\b(?:error|returned|"
        r"failure:?|code) ?:?\(?34\b",
        anchor="34",
        example="nvcuda init failure: 34",
    ),
    Sign(
        r"\bcu(?:Init|DriverGetVersion|DeviceGetCount)\(\): 34\s*$",
        anchor="(): 34",
        example="cuDriverGetVersion(): 34",
    ),
    Sign(
        r"LD_LIBRARY_PATH=\S{0,200}/stubs(?::|/|\s|$)",
        anchor="/stubs",
        example="LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs:/usr/local/cuda/lib64",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"/stubs/libcuda\.so(?:\.1)?: undefined symbol",
        anchor="/stubs/libcuda.so",
        example="AttributeError: /opt/cuda-12.1/lib64/stubs/libcuda.so: undefined symbol: _undef",
    ),
)

EXPLAINS = ("no-visible-device", "running-on-cpu", "driver-too-old-for-cuda", "library-missing")

STEPS = (
    Step("See which libcuda the loader picks.", ("ldconfig", "-p"), Safety.LOOK),
    Step(
        "Take the stubs folder out of LD_LIBRARY_PATH and out of /etc/ld.so.conf.d.",
        touches="the environment of the program, or one file",
        undo="put the folder back",
    ),
    LIST_LIBRARIES,
)


def check(scene: Scene) -> Evidence | None:
    """The loader takes libcuda or NVML from a folder of stubs."""
    userspace = scene.stack.userspace
    for reading in (userspace.cuda_library, userspace.nvml_library):
        library = picked(reading)
        if library is not None and library.place is Place.STUB:
            return Evidence(
                saw=f"the loader takes {library.path}",
                expected="the library of the installed driver",
                sources=(reading.source,),
                strength=10,
            )
    return None
