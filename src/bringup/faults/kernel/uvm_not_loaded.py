"""The memory module nvidia_uvm is not loaded or does not work, so CUDA cannot start.

Symptom: nvidia-smi is fine, CUDA fails with error 999 "unknown error" when a program starts.
Reason: CUDA needs /dev/nvidia-uvm, which nvidia-smi does not. Without a display server nothing loads
    nvidia_uvm at boot, and after sleep it can be there and broken.
Sources: https://github.com/ollama/ollama/issues/5453
    https://github.com/gorgonia/cu/issues/2
    https://github.com/pytorch/pytorch/issues/49081
Limits: right after sleep the same error is `lost-after-suspend`; the cure is the same reload.
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step, Story
from bringup.faults._scene import Scene
from bringup.faults._steps import LOAD_UVM, UNLOAD_UVM
from bringup.faults.kernel._unknown_error import SLEEP_WORDS, find_unknown_error
from bringup.reading import Known
from bringup.records import replace
from bringup.stack.told import Told

SIGNS = (
    Sign(
        r"(?:cuInit err|nvcuda init failure|library init failure|cuInit.{0,30}(?:returned"
        r"|failed.{0,10}with|error)|init failed)[:= ]{0,3}\(?999\b",
        anchor="999",
        example='level=DEBUG source=gpu.go:517 msg="Unable to load nvcuda" error="nvcuda init failure: 999"',
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"(?:cudart|nvml vram) init failure: 999\b|cudaSetDevice err: 999\b",
        anchor="999",
        example='msg="Unable to load cudart" library=libcudart.so.12 error="cudart init failure: 999"',
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"CUDA unknown error - this may be due to an incorrectly set up environment",
        anchor="cuda unknown error",
        example="UserWarning: CUDA initialization: CUDA unknown error - this may be due to an"
        " incorrectly set up environment",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"CUDA_ERROR_UNKNOWN",
        anchor="cuda_error_unknown",
        example="failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"(?i)(?:failed to initialize cuda|cudaGetDeviceCount.{0,40}|cuda init\w{0,40}.{0,30}):"
        r" ?(?:\(?999\)?:? ?)?unknown error",
        anchor="unknown error",
        example="ggml_cuda_init: failed to initialize CUDA: unknown error",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"^panic: Unknown$",
        anchor="panic: unknown",
        example="panic: Unknown",
        certainty=Certainty.LIKELY,
        needs=("/cu.", "nvidia"),
    ),
    Sign(
        r"(?:access|stat|open(?:ing|at)?)\b.{0,40}/dev/nvidia-uvm\b.{0,60}(?i:no such file|ENOENT)",
        anchor="/dev/nvidia-uvm",
        example="ls: cannot access '/dev/nvidia-uvm': No such file or directory",
    ),
    Sign(
        r"cudaGetDeviceCount returned (?:999|30)\b",
        anchor="cudagetdevicecount returned",
        example="cudaGetDeviceCount returned 999",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"(?i)cuInit\b.{0,20}unknown error(?! ?\(303)",
        anchor="cuinit",
        example="CUDA cuInit: Unknown error",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"cuda driver library .{0,60}\b999\b",
        anchor="cuda driver library",
        example='error="cuda driver library failed to get device context 999"',
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"Could not load UVM kernel module",
        anchor="could not load uvm kernel module",
        example="Error: Could not load UVM kernel module. Is nvidia-modprobe installed?",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"cuInit failed: unknown",
        anchor="cuinit failed: unknown",
        example="pycuda._driver.Error: cuInit failed: unknown",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"(?i)module '?nvidia[-_]uvm'? not found",
        anchor="not found",
        example="modprobe: FATAL: Module nvidia-uvm not found.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"nvidia-container-cli: initialization error: cuda error: unknown error",
        anchor="cuda error: unknown error",
        example="nvidia-container-cli: initialization error: cuda error: unknown error",
        certainty=Certainty.LIKELY,
        unless=SLEEP_WORDS,
    ),
    Sign(
        r"Module '?nvidia[-_]uvm'? is (?:blacklisted|deny-?listed)",
        anchor="listed",
        example="systemd-modules-load[252]: Module 'nvidia_uvm' is deny-listed (by kmod)",
    ),
)

STORIES = (Story((Told.NVIDIA, Told.UVM_RELOADED, Told.HELPED), decides="ls -l /dev/nvidia-uvm"),)

EXPLAINS = ("library-missing", "no-visible-device", "running-on-cpu")

STEPS = (
    Step("See whether it is loaded.", ("lsmod",), Safety.LOOK),
    Step(
        "Load it and make its device file.",
        ("nvidia-modprobe", "-u", "-c=0"),
        Safety.SAFE,
        needs_root=True,
        undo="modprobe -r nvidia_uvm",
        touches="the running kernel, /dev",
        verify=("ls", "-l", "/dev/nvidia-uvm"),
    ),
    replace(
        UNLOAD_UVM,
        say="Loaded and still 999: unload it; it is refused while a program uses it, so stop those first.",
    ),
    LOAD_UVM,
    Step(
        "To have it at each boot, write the line nvidia_uvm to /etc/modules-load.d/nvidia-uvm.conf.",
        touches="one file",
        undo="delete that file",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """CUDA's unknown error, and /proc/modules (or lsmod) shows the driver without nvidia_uvm."""
    modules = scene.stack.kernel.modules
    if not isinstance(modules, Known) or find_unknown_error(scene) is None:
        return None
    names = {module.name for module in modules.value}
    if "nvidia" not in names or "nvidia_uvm" in names:
        return None
    return Evidence(
        saw="the module nvidia is loaded, nvidia_uvm is not, and CUDA says unknown error",
        expected="nvidia_uvm in the list of modules",
        sources=(modules.source,),
        strength=10,
    )
