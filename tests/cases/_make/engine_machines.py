"""Made machines whose engine is the trouble: `python -m tests.cases._make.engine_machines`.

All are made from knowledge of what builds and processes of llama.cpp look like on a disk and in /proc.
"""

from __future__ import annotations

from tests.cases._make.elf_file import elf_file
from tests.cases._make.machine import Made
from tests.cases._make.machines import CASES, healthy

SERVER = ("libllama.so.0", "libmtmd.so.0", "libggml.so.0", "libggml-base.so.0", "libc.so.6")
HOME_BUILD = "/home/user/llama.cpp/build"


def add_build(made: Made, folder: str, *, linked: tuple[str, ...], stale: tuple[str, ...] = ()) -> None:
    """A build with shared libraries whose registry needs the linked backends by name."""
    made.files[f"{folder}/llama-server"] = elf_file(SERVER)
    for name in ("libllama.so.0", "libmtmd.so.0", "libggml-base.so.0"):
        made.files[f"{folder}/{name}"] = elf_file(("libc.so.6",))
    made.files[f"{folder}/libggml.so.0"] = elf_file(tuple(f"libggml-{name}.so.0" for name in linked))
    for name in (*linked, *stale):
        needed = ("libcudart.so.12", "libcublas.so.12", "libcuda.so.1") if name == "cuda" else ("libc.so.6",)
        made.files[f"{folder}/libggml-{name}.so.0"] = elf_file(needed)


def add_process(made: Made, number: int, command: tuple[str, ...], *, rss_kib: int, maps: str) -> None:
    made.text(f"/proc/{number}/comm", command[0].rsplit("/", 1)[-1][:15] + "\n")
    made.text(f"/proc/{number}/cmdline", "\x00".join(command) + "\x00")
    made.text(f"/proc/{number}/status", f"Name:\t{command[0]}\nVmRSS:\t{rss_kib} kB\n")
    made.text(f"/proc/{number}/maps", maps)


def cpu_only_engine() -> Made:
    """An engine from a distribution's package, without CUDA, on a machine with a healthy card."""
    made = healthy()
    add_build(made, "/usr/local/bin", linked=("cpu",))
    return made


def cuda_engine() -> Made:
    """The same with CUDA: healthy."""
    made = healthy()
    add_build(made, "/usr/local/bin", linked=("cpu", "cuda"))
    return made


def rebuilt_without_cuda() -> Made:
    """A build folder in which CUDA was on once: its library is still there and no longer used."""
    made = healthy()
    add_build(made, f"{HOME_BUILD}/bin", linked=("cpu",), stale=("cuda",))
    made.text(f"{HOME_BUILD}/common/build-info.cpp", "int LLAMA_BUILD_NUMBER = 9049;\n")
    made.text(f"{HOME_BUILD}/CMakeCache.txt", "GGML_CUDA:BOOL=OFF\n")
    return made


def engine_on_cpu() -> Made:
    """A runner that holds a model and has no CUDA mapped; the card idles."""
    made = healthy()
    runner = ("/usr/local/bin/ollama", "runner", "--model", "/m/blobs/sha256-1", "--port", "38011")
    add_process(made, 4242, runner, rss_kib=6_291_456, maps="7f00 r-xp 0 08:01 9 /usr/lib/libc.so.6\n")
    return made


def engine_on_gpu() -> Made:
    """The same with CUDA mapped: healthy."""
    made = healthy()
    server = ("/usr/local/bin/llama-server", "-m", "/m/qwen3-8b.gguf", "-ngl", "99", "--port", "8080")
    maps = "7f00 r-xp 0 08:01 9 /usr/lib/x86_64-linux-gnu/libcuda.so.570.169\n"
    add_process(made, 4242, server, rss_kib=6_291_456, maps=maps)
    return made


def engine_that_cannot_lock() -> Made:
    """--mlock where this user may lock 8 MiB."""
    made = healthy()
    server = ("/usr/local/bin/llama-server", "-m", "/m/qwen3-8b.gguf", "--mlock")
    maps = "7f00 r-xp 0 08:01 9 /usr/lib/x86_64-linux-gnu/libcuda.so.570.169\n"
    add_process(made, 4242, server, rss_kib=6_291_456, maps=maps)
    made.text(
        "/proc/self/limits", "Max locked memory         8388608              8388608              bytes\n"
    )
    return made


MACHINES = {
    "cpu-only-build/machine-with-driver": (cpu_only_engine, ("cpu-only-build",), ()),
    "cpu-only-build/near-machine-cuda-build": (cuda_engine, (), ()),
    "engine-lost-cuda/machine-rebuilt": (rebuilt_without_cuda, ("engine-lost-cuda",), ("cpu-only-build",)),
    "running-on-cpu/machine-runner": (engine_on_cpu, ("running-on-cpu",), ()),
    "running-on-cpu/near-machine-gpu": (engine_on_gpu, (), ()),
    "ram-mlock-limit/machine-eight-mib": (engine_that_cannot_lock, ("ram-mlock-limit",), ()),
}


def write_all() -> None:
    """Write every machine of this file anew."""
    for name, (make, expected, follows) in MACHINES.items():
        make().write(CASES / name, origin="made", expected=expected, follows=follows)


if __name__ == "__main__":
    write_all()
