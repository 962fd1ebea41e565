"""What several faults of user space, toolkit and containers ask of a scene."""

from __future__ import annotations

from typing import Final

from bringup.faults._scene import Scene
from bringup.reading import Absent, Known, Reading, Unreadable
from bringup.stack.gpu_generations import Generation, find_generation
from bringup.stack.userspace_libraries import LibraryVersion, PickedLibrary
from bringup.stack.version import DriverVersion

_CAPABILITIES: Final[dict[Generation, tuple[int, int]]] = {
    Generation.KEPLER: (30, 37),
    Generation.MAXWELL: (50, 53),
    Generation.PASCAL: (60, 62),
    Generation.VOLTA: (70, 70),
    Generation.TURING: (75, 75),
    Generation.AMPERE: (80, 87),
    Generation.ADA: (89, 89),
    Generation.HOPPER: (90, 90),
    Generation.BLACKWELL: (100, 121),
}
"""Lowest and highest compute capability, times ten, of each generation
(https://developer.nvidia.com/cuda-gpus)."""


def loaded_version(scene: Scene) -> DriverVersion | None:
    """Version of the module in the kernel; `None` where none is known to be loaded."""
    loaded = scene.stack.kernel.loaded_driver
    return loaded.value.version if isinstance(loaded, Known) else None


def module_version(scene: Scene) -> DriverVersion | None:
    """Version of the loaded module; of a mounted disk, where nothing is loaded, that of its next start."""
    kernel = scene.stack.kernel
    if not isinstance(kernel.loaded_driver, Unreadable) or kernel.coming is None or not kernel.coming.modules:
        return loaded_version(scene)
    info = kernel.coming.modules[0].info
    return info.value.version if isinstance(info, Known) else None


def is_unloaded(scene: Scene) -> bool:
    """Whether the running kernel surely has no module of NVIDIA."""
    kernel = scene.stack.kernel
    if isinstance(kernel.modules, Known):
        return not any(module.name == "nvidia" for module in kernel.modules.value)
    return isinstance(kernel.loaded_driver, Absent)


def libraries(scene: Scene) -> tuple[LibraryVersion, ...]:
    """Driver libraries that lie on the disk; what a program told of itself is left out."""
    found = scene.stack.userspace.driver_library_versions
    return tuple(one for one in found.value if one.path) if isinstance(found, Known) else ()


def picked(reading: Reading[PickedLibrary]) -> PickedLibrary | None:
    """What the loader takes, when that is known."""
    return reading.value if isinstance(reading, Known) else None


def cuda_starts(scene: Scene) -> bool:
    """Whether CUDA was started just now and is well."""
    start = scene.stack.cuda.start
    return isinstance(start, Known) and start.value.code == 0


def driver_answers(scene: Scene) -> bool:
    """Whether NVML was started just now and names a card."""
    nvml = scene.stack.nvml
    return isinstance(nvml.error, Absent) and isinstance(nvml.cards, Known) and bool(nvml.cards.value)


def has_cuda_engine(scene: Scene) -> bool:
    """Whether a build of llama.cpp with CUDA is here: then nothing has to be built."""
    engines = scene.stack.build.engines
    if not isinstance(engines, Known):
        return False
    return any(isinstance(one.backends, Known) and "cuda" in one.backends.value for one in engines.value)


def card_capabilities(scene: Scene) -> tuple[tuple[str, int, int], ...]:
    """Name, lowest and highest possible compute capability times ten of each card, by NVML or its id."""
    cards = scene.stack.nvml.cards
    found = []
    for card in cards.value if isinstance(cards, Known) else ():
        if isinstance(card.compute_capability, Known):
            major, minor = card.compute_capability.value
            name = card.name.value if isinstance(card.name, Known) else f"card {card.index}"
            found.append((name, major * 10 + minor, major * 10 + minor))
    if found:
        return tuple(found)
    for device in scene.stack.hardware.nvidia_devices:
        generation = find_generation(device.device_id) if device.device_id is not None else None
        if generation in _CAPABILITIES:
            found.append((device.name or device.address, *_CAPABILITIES[generation]))
    return tuple(found)


def is_consumer_card(scene: Scene) -> bool:
    """Whether some card is a GeForce, RTX or TITAN, for which there is no forward compatibility."""
    cards = scene.stack.nvml.cards
    names = (
        [c.name.value for c in cards.value if isinstance(c.name, Known)] if isinstance(cards, Known) else []
    )
    names += [device.name for device in scene.stack.hardware.nvidia_devices]
    return any(word in name for name in names for word in ("GeForce", "TITAN", "RTX"))


def is_container_text(scene: Scene) -> bool:
    """Whether a paste shows the start of a container or a prompt inside one (`root@da0fd684b11a:`)."""
    started = scene.lines.first_like(r"\b(?:docker|podman|nerdctl) (?:container )?(?:run|exec)\b", anchor=" ")
    return started is not None or scene.lines.first_like(r"\broot@[0-9a-f]{12}:", anchor="root@") is not None
