"""The CDI specification names files of a driver that is gone.

Symptom: a container that gets its GPU by CDI does not start: "no such file or directory" for a libnvidia or
    firmware path with the old driver's version in it.
Reason: nvidia-ctk writes the driver's files with their versions into /etc/cdi or /var/run/cdi once. After a
    driver update these names are stale until the specification is made anew.
Sources: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html
    https://github.com/NVIDIA/nvidia-container-toolkit/issues/1227
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

_LIBRARY = r"lib(?:nvidia|cuda|nvcuvid|EGL_nvidia|GLX_nvidia|vdpau_nvidia)\S{0,40}\.so\.\d{3}\.[\d.]+"
_FILE = rf"/\S{{0,80}}(?:{_LIBRARY}|gsp_\w{{1,20}}\.bin)"

SIGNS = (
    Sign(
        rf"(?i)(?:statfs|stat|lstat|open|mount\S{{0,40}}|failed to "
        rf"(?:stat|mount|fulfil))\b.{{0,24}}{_FILE}.{{0,60}}no such file",
        anchor="no such file",
        example="Error: crun: cannot stat `/usr/lib/x86_64-linux-gnu/libcuda.so.570.169`: No such file or "
        "directory: OCI"
        " runtime attempted to invoke a command that was not found",
        unless=("wrong elf class",),
    ),
    Sign(
        r"(?i)(?:failed to inject|setting up|could not apply) CDI (?:devices?|spec\S{0,10}).{0,160}no such "
        r"file",
        anchor="cdi",
        example="error setting up CDI devices: failed to inject devices: failed to stat CDI host device "
        '"/dev/nvidia-caps/nvidia-cap1": no such file or directory',
    ),
    Sign(
        r"(?i)failed to (?:load|read|parse|unmarshal|validate) CDI Spec\b",
        anchor="cdi spec",
        example='failed to load CDI Spec: failed to parse CDI Spec "/etc/cdi/nvidia.yaml"',
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)(?:conflicting|stale|outdated) CDI (?:spec|device)",
        anchor="cdi",
        example="WARN stale CDI spec /etc/cdi/nvidia.yaml",
        certainty=Certainty.LIKELY,
    ),
)

EXPLAINS = ("library-missing", "running-on-cpu", "no-visible-device")

STEPS = (
    Step("See what CDI offers.", ("nvidia-ctk", "cdi", "list"), Safety.LOOK),
    Step("See the driver that is there now.", ("cat", "/proc/driver/nvidia/version"), Safety.LOOK),
    Step(
        "Make the specification anew.",
        ("nvidia-ctk", "cdi", "generate", "--output=/etc/cdi/nvidia.yaml"),
        Safety.SAFE,
        needs_root=True,
        touches="/etc/cdi/nvidia.yaml",
        undo="none needed: it only describes the driver that is there",
        verify=("nvidia-ctk", "cdi", "list"),
    ),
    Step(
        "For good: let the toolkit's service make it at each boot and driver change.",
        ("systemctl", "enable", "--now", "nvidia-cdi-refresh.service"),
        Safety.SAFE,
        needs_root=True,
        touches="one unit of the toolkit",
        undo="systemctl disable --now nvidia-cdi-refresh.service",
        verify=("systemctl", "status", "nvidia-cdi-refresh.service"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """A specification names libraries or firmware that are gone; other missing things have other causes."""
    for specification in need(scene.stack.container.cdi) or ():
        gone = [path for path in specification.missing if ".so." in path or "/firmware/" in path]
        if gone and not scene.stack.container.is_inside:
            return Evidence(
                saw=f"{specification.path} names {gone[0]}, which is not there ({len(gone)} such files)",
                expected="the files of the driver that is installed now",
                sources=(specification.path,),
                strength=8,
            )
    return None
