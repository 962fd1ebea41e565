"""What each error number of NVML means, in NVIDIA's words and in ours.

Numbers, names and words: nvml.h and nvmlErrorString of driver 580
(https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html); the meanings are ours.
"""

from __future__ import annotations

from typing import Final

from bringup.records import dataclass

UNINITIALIZED: Final = 1
NOT_SUPPORTED: Final = 3
NO_PERMISSION: Final = 4
DRIVER_NOT_LOADED: Final = 9
LIBRARY_NOT_FOUND: Final = 12
FUNCTION_NOT_FOUND: Final = 13
GPU_IS_LOST: Final = 15
RESET_REQUIRED: Final = 16
OPERATING_SYSTEM: Final = 17
LIB_RM_VERSION_MISMATCH: Final = 18
UNKNOWN: Final = 999


@dataclass(frozen=True, slots=True)
class NvmlError:
    """One error of NVML.

    Attributes:
        code: its number.
        name: the constant without `NVML_`.
        words: what nvidia-smi prints for it.
        meaning: what it says about the machine.
    """

    code: int
    name: str
    words: str
    meaning: str


_TABLE: Final = (
    (1, "ERROR_UNINITIALIZED", "Uninitialized", "NVML was asked before it was started"),
    (2, "ERROR_INVALID_ARGUMENT", "Invalid Argument", "a card of that number is not there"),
    (3, "ERROR_NOT_SUPPORTED", "Not Supported", "this card cannot tell or do that; no fault"),
    (4, "ERROR_NO_PERMISSION", "Insufficient Permissions", "the device files are closed to this user"),
    (5, "ERROR_ALREADY_INITIALIZED", "Already Initialized", "NVML was started twice; no fault"),
    (6, "ERROR_NOT_FOUND", "Not Found", "no card or object of that name; NVML starts and finds no device"),
    (7, "ERROR_INSUFFICIENT_SIZE", "Insufficient Size", "an answer was larger than expected; no fault"),
    (8, "ERROR_INSUFFICIENT_POWER", "Insufficient External Power", "a power cable of the card is loose"),
    (9, "ERROR_DRIVER_NOT_LOADED", "Driver Not Loaded", "the kernel module is not loaded, or not reachable"),
    (10, "ERROR_TIMEOUT", "Timeout", "the driver or the card did not answer in time"),
    (11, "ERROR_IRQ_ISSUE", "Interrupt Request Issue", "the kernel gives the card no interrupt"),
    (12, "ERROR_LIBRARY_NOT_FOUND", "NVML Shared Library Not Found", "the loader finds no libnvidia-ml.so.1"),
    (13, "ERROR_FUNCTION_NOT_FOUND", "Function Not Found", "the library is older than the program that asks"),
    (14, "ERROR_CORRUPTED_INFOROM", "Corrupted infoROM", "the card's own store of settings is damaged"),
    (15, "ERROR_GPU_IS_LOST", "GPU is lost", "the card has fallen off the bus"),
    (16, "ERROR_RESET_REQUIRED", "GPU requires reset", "the card must be reset before it works again"),
    (17, "ERROR_OPERATING_SYSTEM", "GPU access blocked by the operating system",
     "a control group or Windows refuses access to the card"),
    (18, "ERROR_LIB_RM_VERSION_MISMATCH", "Driver/library version mismatch",
     "the loaded module and this library are of different versions"),
    (19, "ERROR_IN_USE", "In use by another client", "another program holds the card alone"),
    (20, "ERROR_MEMORY", "Insufficient Memory", "main memory ran out while asking"),
    (21, "ERROR_NO_DATA", "No data", "nothing was measured yet; no fault"),
    (22, "ERROR_VGPU_ECC_NOT_SUPPORTED", "The requested vGPU operation is not available on target device",
     "error correction is on where a virtual GPU cannot have it"),
    (23, "ERROR_INSUFFICIENT_RESOURCES", "Insufficient Resources", "the driver ran out of something"),
    (24, "ERROR_FREQ_NOT_SUPPORTED", "Frequency not supported", "the card has no such clock"),
    (25, "ERROR_ARGUMENT_VERSION_MISMATCH", "Argument version mismatch",
     "program and library speak different versions"),
    (26, "ERROR_DEPRECATED", "Deprecated", "the driver no longer answers this; no fault"),
    (27, "ERROR_NOT_READY", "System is not in ready state", "the fabric or the card is still starting"),
    (28, "ERROR_GPU_NOT_FOUND", "No GPUs were found", "the driver runs and drives no card"),
    (29, "ERROR_INVALID_STATE", "Invalid state", "not possible in the card's present mode"),
    (30, "ERROR_RESET_TYPE_NOT_SUPPORTED", "Reset type is not supported", "it cannot be reset that way"),
    (999, "ERROR_UNKNOWN", "Unknown Error", "the driver refused and does not say why; see the kernel's log"),
)  # fmt: skip


def find_nvml_error(code: int) -> NvmlError:
    """The error of a number; of a number newer than this table, one that says so."""
    for row in _TABLE:
        if row[0] == code:
            return NvmlError(*row)
    return NvmlError(code, f"error {code}", f"Error {code}", "an error that this program does not know yet")
