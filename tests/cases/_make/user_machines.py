"""Made machines whose user space, toolkit or container is the trouble.

Written by `python -m tests.cases._make.user_machines` from knowledge of the real layouts; none was recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cases._make.driver_answers import add_nvml, card, refuse_nvml, start_cuda
from tests.cases._make.engine_machines import add_build
from tests.cases._make.machine import Made, add_card, add_kernel, add_libraries, hold, load_driver, ubuntu
from tests.cases._make.machines import CASES, KERNEL, MISMATCH, NEW, OLD, healthy, mounted

LIBRARIES = "/usr/lib/x86_64-linux-gnu"
FAR = "575.57.08"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


def working(*, version: str = OLD) -> Made:
    """A healthy machine whose driver and CUDA answer, with its packages."""
    made = healthy(version=version)
    made.environment["PATH"] = SYSTEM_PATH
    made.text("/var/lib/dpkg/status", packages(version))
    add_nvml(made, card(), version=version)
    start_cuda(made)
    return made


def packages(version: str, *, state: str = "install ok installed") -> str:
    """Paragraphs of dpkg's status file."""
    names = (
        f"libnvidia-compute-570 {state}",
        "nvidia-utils-570 install ok installed",
        "vim install ok installed",
    )
    rows = (name.split(" ", 1) for name in names)
    return "\n".join(
        f"Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}-0ubuntu0.24.04.1\n"
        for name, status in rows
    )


def healthy_in_full() -> Made:
    """Driver, CUDA and an engine with CUDA, a held package, an old library left in the same folder."""
    made = working()
    add_build(made, "/usr/local/bin", linked=("cpu", "cuda"))
    made.text("/var/lib/dpkg/status", packages(OLD, state="hold ok installed"))
    made.text(f"{LIBRARIES}/libcuda.so.550.54.14", "")
    return made


def runfile_over_packages() -> Made:
    """The packages' module is loaded; an installer of another version laid its libraries over theirs."""
    made = healthy()
    made.commands.clear()
    made.command(("dmesg", "--color=never"), MISMATCH.replace(NEW, FAR))
    for name in ("libnvidia-ml", "libcuda"):
        made.text(f"{LIBRARIES}/{name}.so.{FAR}", "")
        made.links[f"{LIBRARIES}/{name}.so.1"] = f"{name}.so.{FAR}"
    made.text("/usr/bin/nvidia-uninstall", "")
    made.text("/var/log/nvidia-installer.log", f"nvidia-installer log file\ninstaller version: {FAR}\n")
    refuse_nvml(made, 18, "Driver/library version mismatch")
    return made


def link_to_nowhere() -> Made:
    """An old library was deleted and the link to it stayed."""
    made = healthy()
    del made.files[f"{LIBRARIES}/libcuda.so.{OLD}"]
    return made


def no_driver() -> Made:
    """A new machine: nouveau drives the card and nothing of NVIDIA's driver is there."""
    made = ubuntu()
    add_card(made, "RTX 3080 Ti", driver="nouveau")
    made.text("/proc/modules", "nouveau 3096576 5 - Live 0x0000000000000000\n")
    made.command(("dmesg", "--color=never"), "[    3.1] nouveau 0000:01:00.0: NVIDIA GA102 (b72000a1)\n")
    return made


def driver_without_card() -> Made:
    """No card, no driver: nothing to install."""
    made = ubuntu()
    made.command(("dmesg", "--color=never"), "[    3.1] i915 0000:00:02.0: [drm] ok\n")
    return made


def half_configured() -> Made:
    made = working()
    made.text("/var/lib/dpkg/status", packages(OLD, state="install ok half-configured"))
    return made


def hidden_by_variable(value: str) -> Made:
    made = working()
    made.environment["CUDA_VISIBLE_DEVICES"] = value
    return made


def stub_first() -> Made:
    """LD_LIBRARY_PATH leads to the toolkit's stubs, where somebody ran ldconfig once."""
    made = working()
    folder = "/usr/local/cuda-12.8/targets/x86_64-linux/lib/stubs"
    made.text(f"{folder}/libcuda.so", "")
    made.links[f"{folder}/libcuda.so.1"] = "libcuda.so"
    made.environment["LD_LIBRARY_PATH"] = folder
    made.commands.pop()
    start_cuda(made, 34, "CUDA_ERROR_STUB_LIBRARY")
    return made


def compatibility_first(*, code: int) -> Made:
    """LD_LIBRARY_PATH leads to the forward-compatibility package."""
    made = working()
    made.text(f"/usr/local/cuda-12.9/compat/libcuda.so.{FAR}", "")
    made.links["/usr/local/cuda-12.9/compat/libcuda.so.1"] = f"libcuda.so.{FAR}"
    made.environment["LD_LIBRARY_PATH"] = "/usr/local/cuda-12.9/compat"
    made.commands.pop()
    start_cuda(made, code, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE" if code else "CUDA_SUCCESS")
    return made


def switches(*, is_managed: bool) -> Made:
    """A machine with NVSwitch, with or without its fabric manager."""
    made = working()
    made.text("/proc/driver/nvidia-nvswitch/devices/0000:05:00.0", "")
    if is_managed:
        made.text("/usr/bin/nv-fabricmanager", "")
        made.text("/run/nvidia-fabricmanager/nv-fabricmanager.pid", "901\n")
        made.text("/proc/901/comm", "nv-fabricmanage\n")
    else:
        made.commands.pop()
        start_cuda(made, 802, "CUDA_ERROR_SYSTEM_NOT_READY")
    return made


def add_toolkit(made: Made, version: str, *, gcc_most: int = 14, has_clash: bool = False) -> None:
    """NVIDIA's toolkit in /usr/local, as its packages lay it out."""
    folder = f"/usr/local/cuda-{version}"
    made.text(f"{folder}/version.json", f'{{"cuda": {{"name": "CUDA SDK", "version": "{version}.1"}}}}\n')
    made.text(f"{folder}/bin/nvcc", "")
    made.text(f"{folder}/lib64/libcudart.so.12", "")
    made.text(
        f"{folder}/include/crt/host_config.h",
        f"#error -- unsupported GNU version! gcc versions later than {gcc_most} are not supported!\n",
    )
    rest = "" if has_clash else " noexcept (true)"
    made.text(
        f"{folder}/include/crt/math_functions.h",
        f"extern __DEVICE_FUNCTIONS_DECL__ __device_builtin__ double  cospi(double x){rest};\n",
    )
    list_architectures(made, f"{folder}/bin/nvcc", 50, 61, 70, 75, 80, 86, 89, 90, 100, 120)


def list_architectures(made: Made, nvcc: str, *numbers: int) -> None:
    made.command((nvcc, "--list-gpu-arch"), "".join(f"compute_{number}\n" for number in numbers))


def add_compiler(made: Made, version: int) -> None:
    made.text(f"/usr/bin/x86_64-linux-gnu-g++-{version}", "")
    made.links["/usr/bin/g++"] = f"g++-{version}"
    made.links[f"/usr/bin/g++-{version}"] = f"x86_64-linux-gnu-g++-{version}"


def two_toolkits(*, home: str) -> Made:
    """Two toolkits side by side, 12.8 first on PATH; CUDA_HOME leads to one or the other."""
    made = working()
    add_toolkit(made, "12.8")
    add_toolkit(made, "12.4")
    made.links["/usr/local/cuda"] = "cuda-12.8"
    add_compiler(made, 13)
    made.environment["PATH"] = f"/usr/local/cuda-12.8/bin:{SYSTEM_PATH}"
    made.environment["CUDA_HOME"] = home
    return made


def old_nvcc_first() -> Made:
    """Ubuntu's own nvcc of CUDA 12.0 (a wrapper) comes first on a machine with an RTX 5080."""
    made = ubuntu()
    add_card(made, "RTX 5080")
    for path, text in (
        ("/usr/bin/nvcc", '#!/bin/sh\nexec /usr/lib/nvidia-cuda-toolkit/bin/nvcc "$@"\n'),
        ("/usr/lib/nvidia-cuda-toolkit/bin/nvcc", "\x7fELF, a program" + " " * 5000),
        ("/usr/include/cuda.h", "#define CUDA_VERSION 12000\n"),
        ("/var/lib/dpkg/status", packages(NEW)),
    ):
        made.text(path, text)
    made.environment["PATH"] = SYSTEM_PATH
    add_libraries(made, NEW)
    load_driver(made, NEW)
    add_nvml(made, card("NVIDIA GeForce RTX 5080", capability=(12, 0)), version=NEW)
    start_cuda(made)
    list_architectures(made, "/usr/lib/nvidia-cuda-toolkit/bin/nvcc", 50, 60, 70, 75, 80, 86, 89, 90)
    made.command(("dmesg", "--color=never"), "")
    return made


def new_compiler(*, has_engine: bool) -> Made:
    """g++ 15 with a toolkit that accepts 13; an engine with CUDA is there or not."""
    made = working()
    add_toolkit(made, "12.4", gcc_most=13)
    add_compiler(made, 15)
    made.environment["PATH"] = f"/usr/local/cuda-12.4/bin:{SYSTEM_PATH}"
    if has_engine:
        add_build(made, "/usr/local/bin", linked=("cpu", "cuda"))
    return made


def new_glibc(*, has_clash: bool) -> Made:
    """glibc 2.41 and a toolkit whose headers contradict it, or were mended."""
    made = working()
    add_toolkit(made, "12.8", has_clash=has_clash)
    add_compiler(made, 14)
    made.environment["PATH"] = f"/usr/local/cuda-12.8/bin:{SYSTEM_PATH}"
    made.command(("getconf", "GNU_LIBC_VERSION"), "glibc 2.41\n")
    return made


def nvcc_off_path() -> Made:
    """A toolkit that PATH does not lead to, and an engine that was built without CUDA."""
    made = working()
    add_toolkit(made, "12.8")
    add_compiler(made, 13)
    add_build(made, "/usr/local/bin", linked=("cpu",))
    return made


def toolkit_newer_than_driver() -> Made:
    """CUDA 13's nvcc and a driver that runs CUDA 12."""
    made = working()
    add_toolkit(made, "13.0", gcc_most=15)
    made.commands.pop()
    list_architectures(made, "/usr/local/cuda-13.0/bin/nvcc", 75, 80, 86, 89, 90, 100, 120)
    add_compiler(made, 13)
    made.environment["PATH"] = f"/usr/local/cuda-13.0/bin:{SYSTEM_PATH}"
    return made


def container(*, nodes: bool, libraries: str = "") -> Made:
    """Inside a Docker container on a host with driver 570.169; `libraries` is what its loader finds."""
    made = Made()
    made.text("/etc/os-release", 'PRETTY_NAME="Ubuntu 22.04.4 LTS"\nID=ubuntu\nID_LIKE=debian\n')
    made.text("/.dockerenv", "")
    made.text("/proc/sys/kernel/osrelease", KERNEL + "\n")
    made.text("/proc/self/mountinfo", "700 650 0:80 / / rw,relatime - overlay overlay rw\n")
    made.folders |= {LIBRARIES, "/sys/bus/pci/devices", "/run", "/lib", "/usr/bin", "/usr/local/bin"}
    made.environment |= {"PATH": SYSTEM_PATH}
    add_card(made, "RTX 3080 Ti")
    if libraries:
        add_libraries(made, libraries)
    load_driver(made, OLD, nodes=nodes)
    return made


def container_with_gpu() -> Made:
    """Started with --gpus all: the host's libraries are mounts."""
    made = container(nodes=True, libraries=OLD)
    mounts = "".join(
        f"81{index} 700 8:2 {LIBRARIES}/{name}.so.{OLD} {LIBRARIES}/{name}.so.{OLD} ro - ext4 /dev/sda2 ro\n"
        for index, name in enumerate(("libcuda", "libnvidia-ml"))
    )
    made.text("/proc/self/mountinfo", mounts)
    made.environment["NVIDIA_VISIBLE_DEVICES"] = "all"
    add_nvml(made, card())
    start_cuda(made)
    return made


def container_that_lost_it() -> Made:
    """The same after systemctl daemon-reload on the host."""
    made = container_with_gpu()
    made.commands.clear()
    refuse_nvml(made, 999, "Unknown Error")
    start_cuda(made, 100, "CUDA_ERROR_NO_DEVICE")
    return made


def container_with_driver() -> Made:
    """The image has driver packages of its own."""
    made = container_with_gpu()
    made.commands.clear()
    add_libraries(made, NEW)
    refuse_nvml(made, 18, "Driver/library version mismatch")
    start_cuda(made, 803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH")
    return made


def cdi(version: str) -> Made:
    """A host with a CDI specification of one version and a driver of 570.172.08."""
    made = working(version=NEW)
    made.text(
        "/etc/cdi/nvidia.yaml",
        "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ncontainerEdits:\n  deviceNodes:\n  - path: /dev/nvidiactl\n"
        f"  mounts:\n  - containerPath: {LIBRARIES}/libcuda.so.{version}\n"
        f"    hostPath: {LIBRARIES}/libcuda.so.{version}\n",
    )
    return made


def docker(*, has_runtime: bool) -> Made:
    """Docker told to use NVIDIA's runtime, which is there or was removed."""
    made = working()
    made.text("/usr/bin/docker", "")
    made.text(
        "/etc/docker/daemon.json",
        '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "runtimeArgs": []}}}\n',
    )
    if has_runtime:
        made.text("/usr/bin/nvidia-container-runtime", "")
    return made


def wsl(*, has_linux_driver: bool) -> Made:
    """Ubuntu in WSL 2: what Windows passes in, and perhaps a Linux driver that shadows it."""
    made = ubuntu(running="5.15.167.4-microsoft-standard-WSL2", kernels=())
    made.folders |= {"/usr/lib/modules"}
    made.environment["PATH"] = SYSTEM_PATH
    for name in ("libcuda.so.1", "libnvidia-ml.so.1", "nvidia-smi"):
        made.text(f"/usr/lib/wsl/lib/{name}", "")
    made.text("/dev/dxg", "")
    made.text("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n")
    made.text("/etc/ld.so.conf.d/ld.wsl.conf", "/usr/lib/wsl/lib\n")
    made.command(("dmesg", "--color=never"), "[    0.1] hv_vmbus: registering driver dxgkrnl\n")
    if has_linux_driver:
        add_libraries(made, OLD)
        made.text("/etc/ld.so.conf.d/ld.wsl.conf", "")
        refuse_nvml(made, 9, "Driver Not Loaded")
        start_cuda(made, 100, "CUDA_ERROR_NO_DEVICE")
    else:
        add_nvml(made, card())
        start_cuda(made)
    return made


def held(*, mib: int) -> Made:
    """A forgotten notebook holds memory of the card."""
    made = working()
    made.commands = [one for one in made.commands if one["argv"] != ["bringup-nvml"]]
    add_nvml(made, card(used_mib=mib + 300, processes=((2211, mib),)))
    hold(made, 2211, "python3")
    add_kernel(made, KERNEL)
    return made


MACHINES: dict[str, tuple[Callable[[], Made], tuple[str, ...], tuple[str, ...]]] = {
    "libraries-mixed/machine-runfile-over-apt": (runfile_over_packages, ("libraries-mixed",), ()),
    "libraries-mixed/machine-old-file-left": (healthy_in_full, (), ()),
    "libraries-mixed/mounted-disk": (lambda: mounted(runfile_over_packages()), ("libraries-mixed",), ()),
    "library-missing/machine-link-to-nowhere": (link_to_nowhere, ("library-missing",), ()),
    "driver-not-installed/machine-new": (no_driver, ("driver-not-installed",), ()),
    "driver-not-installed/machine-without-card": (driver_without_card, (), ()),
    "package-state-broken/machine-half-configured": (half_configured, ("package-state-broken",), ()),
    "package-state-broken/machine-held": (healthy_in_full, (), ()),
    "no-visible-device/machine-number-too-high": (
        lambda: hidden_by_variable("1"), ("no-visible-device",), ()),
    "no-visible-device/machine-empty": (lambda: hidden_by_variable(""), ("no-visible-device",), ()),
    "no-visible-device/machine-first-card": (lambda: hidden_by_variable("0"), (), ()),
    "cuda-stub-library/machine-variable": (stub_first, ("cuda-stub-library",), ()),
    "cuda-compat-mismatch/machine-geforce": (
        lambda: compatibility_first(code=804), ("cuda-compat-mismatch",), ()),
    "cuda-compat-mismatch/machine-works": (lambda: compatibility_first(code=0), (), ()),
    "fabric-manager-missing/machine-none": (
        lambda: switches(is_managed=False), ("fabric-manager-missing",), ()),
    "fabric-manager-missing/machine-running": (lambda: switches(is_managed=True), (), ()),
    "toolkits-mixed/machine-two": (
        lambda: two_toolkits(home="/usr/local/cuda-12.4"), ("toolkits-mixed",), ()),
    "toolkits-mixed/machine-side-by-side": (lambda: two_toolkits(home="/usr/local/cuda"), (), ()),
    "nvcc-too-old-for-gpu/machine-debian": (old_nvcc_first, ("nvcc-too-old-for-gpu",), ()),
    "host-compiler-unsupported/machine-gcc-15": (
        lambda: new_compiler(has_engine=False), ("host-compiler-unsupported",), ()),
    "host-compiler-unsupported/machine-nothing-to-build": (lambda: new_compiler(has_engine=True), (), ()),
    "toolkit-glibc-conflict/machine-2-41": (
        lambda: new_glibc(has_clash=True), ("toolkit-glibc-conflict",), ()),
    "toolkit-glibc-conflict/machine-mended": (lambda: new_glibc(has_clash=False), (), ()),
    "nvcc-not-found/machine-off-path": (nvcc_off_path, ("nvcc-not-found",), ("cpu-only-build",)),
    "driver-too-old-for-cuda/machine-toolkit-13": (
        toolkit_newer_than_driver, ("driver-too-old-for-cuda",), ()),
    "container-no-gpu-flag/machine-inside": (
        lambda: container(nodes=False), ("container-no-gpu-flag",), ("library-missing",)),
    "container-no-gpu-flag/machine-with-gpu": (container_with_gpu, (), ()),
    "container-gpu-lost/machine-inside": (
        container_that_lost_it, ("container-gpu-lost",), ("no-visible-device",)),
    "container-bundled-driver/machine-inside": (
        container_with_driver, ("container-bundled-driver",), ("cuda-compat-mismatch", "libraries-mixed")),
    "container-cdi-stale/machine-after-update": (lambda: cdi(OLD), ("container-cdi-stale",), ()),
    "container-cdi-stale/machine-fresh": (lambda: cdi(NEW), (), ()),
    "container-runtime-missing/machine-removed": (
        lambda: docker(has_runtime=False), ("container-runtime-missing",), ()),
    "container-runtime-missing/machine-there": (lambda: docker(has_runtime=True), (), ()),
    "wsl-driver-missing/machine-linux-driver": (
        lambda: wsl(has_linux_driver=True), ("wsl-driver-missing",), ("no-visible-device",)),
    "wsl-driver-missing/machine-healthy": (lambda: wsl(has_linux_driver=False), (), ()),
    "vram-taken-by-others/machine-notebook": (lambda: held(mib=9814), ("vram-taken-by-others",), ()),
    "vram-taken-by-others/machine-little": (lambda: held(mib=700), (), ()),
}  # fmt: skip


def write_all(folder: Path) -> None:
    """Write every machine below a folder."""
    for name, (make, expected, follows) in MACHINES.items():
        make().write(folder / name, origin="made", expected=expected, follows=follows)


if __name__ == "__main__":
    write_all(CASES)
