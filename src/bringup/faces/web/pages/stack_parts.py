"""The parts of each layer with their versions, in a few words each: what a person looks for first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from bringup.faces.render.format import format_bytes
from bringup.faults._fault import Layer
from bringup.reading import NOT_LOOKED, Absent, Known, Reading
from bringup.records import dataclass
from bringup.stack.container import Inside
from bringup.stack.stack import Stack

T = TypeVar("T")

TERMS: Final = {
    Layer.HARDWARE: "gpu",
    Layer.KERNEL: "nvidia-driver",
    Layer.CONTAINER: "container-toolkit",
    Layer.USERSPACE: "user-space-library",
    Layer.TOOLKIT: "cuda",
    Layer.BUILD: "engine",
    Layer.MODEL: "weights",
    Layer.MEMORY: "ram",
    Layer.CONTEXT: "context-window",
    Layer.RUNTIME: "server",
}
"""The page of each layer's term."""


@dataclass(frozen=True, slots=True)
class StackPart:
    """A part and what is known of it: a version, `not there`, `unseen`."""

    name: str
    state: str
    is_there: bool = True


def parts_of(layer: Layer, stack: Stack) -> tuple[StackPart, ...]:
    """The parts of a layer that somebody looked at."""
    say = _PARTS.get(layer)
    return tuple(say(stack)) if say is not None else ()


def _told(name: str, reading: Reading[T], words: str | None = None) -> Iterator[StackPart]:
    if isinstance(reading, Known):
        yield StackPart(name, str(reading.value) if words is None else words)
    elif isinstance(reading, Absent):
        yield StackPart(name, "not there", is_there=False)
    elif reading is not NOT_LOOKED:
        yield StackPart(name, "unseen", is_there=False)


def _hardware(stack: Stack) -> Iterator[StackPart]:
    for device in stack.hardware.nvidia_devices:
        yield StackPart(device.name or "NVIDIA device", device.address)
    processor = stack.hardware.processor
    if isinstance(processor.name, Known):
        yield StackPart("CPU", processor.name.value)
    if isinstance(processor.physical_cores, Known):
        yield StackPart("cores", str(processor.physical_cores.value))


def _kernel(stack: Stack) -> Iterator[StackPart]:
    kernel = stack.kernel
    if isinstance(kernel.distribution, Known):
        name, version = kernel.distribution.value.name, kernel.distribution.value.version
        yield StackPart(name, "" if version in name.split() else version)
    if isinstance(kernel.release, Known):
        yield StackPart("Linux", kernel.release.value.text)
    driver = kernel.loaded_driver
    flavour = ""
    if isinstance(driver, Known):
        flavour = f"{driver.value.version} ({'open' if driver.value.is_open else 'proprietary'})"
    yield from _told("nvidia.ko", driver, flavour)
    if isinstance(kernel.modules, Known) and isinstance(driver, Known):
        is_loaded = any(module.name == "nvidia_uvm" for module in kernel.modules.value)
        yield StackPart("nvidia-uvm.ko", "loaded" if is_loaded else "not loaded")
    if isinstance(kernel.disk_module, Known) and kernel.disk_module.value.version is not None:
        yield StackPart("module on disk", str(kernel.disk_module.value.version))
    if isinstance(kernel.secure_boot, Known):
        yield StackPart("Secure Boot", "on" if kernel.secure_boot.value else "off")


def _userspace(stack: Stack) -> Iterator[StackPart]:
    found = (("libnvidia-ml", stack.userspace.nvml_library), ("libcuda", stack.userspace.cuda_library))
    for name, library in found:
        version = library.value.version if isinstance(library, Known) else None
        yield from _told(name, library, str(version) if version is not None else "there")
    error = stack.nvml.error
    if isinstance(error, Known):
        yield StackPart("NVML", error.value.words)
    elif isinstance(stack.nvml.driver_version, Known):
        yield StackPart("NVML", "answers")
    start = stack.cuda.start
    if isinstance(start, Known):
        yield StackPart("CUDA", "starts" if start.value.code == 0 else start.value.name)


def _dotted(version: object) -> str:
    """`13.0` of `(13, 0)`."""
    return ".".join(map(str, version)) if isinstance(version, tuple) else str(version)


def _toolkit(stack: Stack) -> Iterator[StackPart]:
    nvcc = stack.toolkit.nvcc
    version = (
        _dotted(nvcc.value.version.value)
        if isinstance(nvcc, Known) and isinstance(nvcc.value.version, Known)
        else None
    )
    yield from _told("nvcc", nvcc, version or "there")
    yield from _told("gcc", stack.toolkit.host_compiler, _compiler(stack))
    if isinstance(stack.toolkit.glibc, Known):
        yield StackPart("glibc", _dotted(stack.toolkit.glibc.value))


def _compiler(stack: Stack) -> str:
    found = stack.toolkit.host_compiler
    version = found.value.version if isinstance(found, Known) else None
    return str(version.value) if isinstance(version, Known) else "there"


def _build(stack: Stack) -> Iterator[StackPart]:
    for engine in (stack.build.engines.value if isinstance(stack.build.engines, Known) else ())[:4]:
        number = f"b{engine.number.value}" if isinstance(engine.number, Known) else "build unknown"
        backends = (
            ", ".join(engine.backends.value) if isinstance(engine.backends, Known) else "backends unknown"
        )
        yield StackPart(engine.program.rsplit("/", 1)[-1], f"{number}, {backends}")


def _container(stack: Stack) -> Iterator[StackPart]:
    inside = stack.container.inside
    if isinstance(inside, Known) and inside.value is not Inside.NONE:
        yield StackPart("inside", inside.value.value)
    yield from _told("docker", stack.container.docker)
    yield from _told("container toolkit", stack.container.toolkit)


def _memory(stack: Stack) -> Iterator[StackPart]:
    if isinstance(stack.memory.floors, Known):
        floors = stack.memory.floors.value
        yield StackPart("RAM", format_bytes(floors.total_bytes))
        yield StackPart("can be taken", format_bytes(floors.available_bytes))
        yield StackPart("swap", format_bytes(floors.swap_total_bytes) if floors.swap_total_bytes else "none")


def _runtime(stack: Stack) -> Iterator[StackPart]:
    for engine in (stack.runtime.engines.value if isinstance(stack.runtime.engines, Known) else ())[:6]:
        port = f"port {engine.port}" if engine.port is not None else f"process {engine.process_id}"
        yield StackPart(engine.program, port)


_PARTS: Final[dict[Layer, Callable[[Stack], Iterator[StackPart]]]] = {
    Layer.HARDWARE: _hardware,
    Layer.KERNEL: _kernel,
    Layer.CONTAINER: _container,
    Layer.USERSPACE: _userspace,
    Layer.TOOLKIT: _toolkit,
    Layer.BUILD: _build,
    Layer.MEMORY: _memory,
    Layer.RUNTIME: _runtime,
}
