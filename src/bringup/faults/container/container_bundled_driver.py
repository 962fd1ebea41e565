"""The image brings driver libraries of its own.

Symptom: the host and other images work, this one says "Driver/library version mismatch" or finds a wrong
    libcuda.
Reason: the toolkit mounts the host's driver libraries into the container. An image with driver packages
    inside has a second set, which wins once ldconfig has run, and it fits the host's module only by chance.
Sources: https://github.com/tensorflow/build/issues/59
    https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.faults.userspace._driver import is_container_text, libraries, loaded_version
from bringup.reading import Known
from bringup.stack.listings import listed_libraries

SIGNS = (
    Sign(
        r"(?i)(?:mount error|file creation failed|failed to"
        r" (?:create|mount)).{0,240}/lib(?:nvidia-ml|nvidia-[\w-]{1,30}|cuda)\.so\S{0,20}:? .{0,3}file"
        r" exists",
        anchor="file exists",
        example="nvidia-container-cli: mount error: file creation failed:"
        " /var/lib/docker/overlay2/a/merged/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1: file exists:"
        " unknown",
    ),
)

EXPLAINS = ("libraries-mixed", "no-visible-device", "running-on-cpu")

STEPS = (
    Step("See that the host itself is fine.", ("nvidia-smi",), Safety.LOOK),
    Step(
        "See that another image is fine (`docker pull ubuntu` first where it is not here).",
        ("docker", "run", "--rm", "--pull=never", "--gpus", "all", "ubuntu", "nvidia-smi"),
        Safety.LOOK,
    ),
    Step(
        "Take the driver packages (libnvidia-*, nvidia-driver-*, nvidia-utils-*) out of the image's "
        "Dockerfile and build "
        "it again; the toolkit is enough for building, the driver comes from the host.",
        safety=Safety.SAFE,
        touches="the image",
        undo="build the former Dockerfile",
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Inside: a picked library that is not the host's; in a paste: a mismatch in one container only."""
    return _by_files(scene) or _by_text(scene) or _by_listing(scene)


def _by_files(scene: Scene) -> Evidence | None:
    """We are in a container, and its loader takes a library that does not fit the host's module."""
    loaded, container = loaded_version(scene), scene.stack.container
    if loaded is None or not container.is_inside:
        return None
    taken = [one for one in libraries(scene) if one.is_picked and not one.version.fits(loaded)]
    if not taken:
        return None
    mounted = container.mounted_libraries.value if isinstance(container.mounted_libraries, Known) else ()
    passed = f"; the host passed in {mounted[0]}" if mounted else ""
    return Evidence(
        saw=f"the loader takes {taken[0].path}, the host's module is {loaded}{passed}",
        expected=f"the host's libraries of {loaded} only",
        sources=(taken[0].path, scene.stack.kernel.loaded_driver.source),
        strength=12,
    )


def _by_text(scene: Scene) -> Evidence | None:
    """A mismatch that a command inside a container with the GPU printed, and none on the host."""
    inside = scene.lines.search(
        r"\b(?:docker|podman) (?:run|exec)\b.{0,200}(?:nvidia-smi|ldconfig|bash -c|python)", anchor="docker"
    ) or scene.lines.search(r"\bpodman (?:run|exec)\b", anchor="podman")
    mismatch = scene.lines.search(
        r"(?i)failed to initialize nvml: driver/library", anchor="failed to initialize nvml"
    )
    if inside is None or mismatch is None or scene.lines.has("nvidia-container-cli: initialization error"):
        return None
    if mismatch[0].number < inside[0].number:
        return None
    return Evidence(
        saw=f"{inside[0].text.strip()[:120]} -> {mismatch[0].text.strip()[:80]}",
        expected="the host's driver libraries, as the toolkit mounts them",
        sources=(f"{mismatch[0].source}, line {mismatch[0].number}",),
        certainty=Certainty.LIKELY,
        decides="nvidia-smi on the host: if it works, the image is the cause",
        strength=8,
    )


def _by_listing(scene: Scene) -> Evidence | None:
    """A listing in a container that shows files of two drivers: the host's and the image's own."""
    files = listed_libraries(scene.lines)
    if len(files) < 2 or not is_container_text(scene):
        return None
    (one, _), (other, line) = files[:2]
    return Evidence(
        saw=f"libraries of {one} and of {other} lie side by side in a container",
        expected="the host's libraries only",
        sources=(f"{line.source}, line {line.number}",),
        certainty=Certainty.LIKELY,
        decides="cat /proc/driver/nvidia/version",
    )
