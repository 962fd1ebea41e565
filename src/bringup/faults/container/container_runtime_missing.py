"""The container engine does not know NVIDIA's runtime.

Symptom: 'could not select device driver "" with capabilities: [[gpu]]', "unknown or invalid runtime name:
    nvidia", or nvidia-container-cli cannot load libnvidia-ml.so.1 although the host is fine (snap).
Reason: --gpus needs the NVIDIA container toolkit installed and registered with the engine that really runs. A
    Docker from snap is confined and sees neither the toolkit nor the host's driver libraries.
Sources: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html
    https://github.com/canonical/docker-snap/issues/148
    https://github.com/NVIDIA/k8s-device-plugin
"""

from __future__ import annotations

from bringup.faults._fault import Certainty, Evidence, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.reading import need

SIGNS = (
    Sign(
        r"(?i)could not select device driver \"[^\"]{0,20}\" with capabilities",
        anchor="could not select device driver",
        example='docker: Error response from daemon: could not select device driver "" with capabilities: '
        "[[gpu]].",
    ),
    Sign(
        r"(?i)unknown (?:or invalid )?runtime(?: name)?(?: specified)?:? \"?nvidia",
        anchor="runtime",
        example="docker: Error response from daemon: unknown or invalid runtime name: nvidia.",
    ),
    Sign(
        r"(?i)nvidia-container-(?:cli|runtime|runtime-hook)\"?: (?:executable file not found|no such "
        r"file|not found)",
        anchor="nvidia-container-",
        example='exec: "nvidia-container-runtime": executable file not found in $PATH',
    ),
    Sign(
        r"(?i)exec: \"?nvidia-container-\S{1,30}: executable file not found",
        anchor="executable file not found",
        example='error during container init: exec: "nvidia-container-runtime-hook": executable file not '
        "found in $PATH",
    ),
    Sign(
        r"(?i)nvidia-container-cli: initialization error: load library failed: libnvidia-ml\.so",
        anchor="load library failed: libnvidia-ml.so",
        example="nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot "
        "open shared"
        " object file: no such file or directory: unknown.",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"(?i)(?:unresolvable|could not resolve the following) CDI devices?:? \[?(?:runtime\.)?nvidia\.com",
        anchor="cdi device",
        example="Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"unknown flag: --gpus\b",
        anchor="unknown flag: --gpus",
        example="unknown flag: --gpus",
    ),
    Sign(
        r"no runtime for \"nvidia\" is configured|RuntimeHandler \"nvidia\" not supported",
        anchor='"nvidia"',
        example='failed to get sandbox runtime: no runtime for "nvidia" is configured',
    ),
    Sign(
        r"If this is a GPU node, did you configure the NVIDIA Container Toolkit",
        anchor="did you configure the nvidia container toolkit",
        example="If this is a GPU node, did you configure the NVIDIA Container Toolkit?",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"If this is a GPU node, did you set the docker default runtime",
        anchor="did you set the docker default runtime",
        example="If this is a GPU node, did you set the docker default runtime to `nvidia`?",
        certainty=Certainty.LIKELY,
        needs=("could not load nvml",),
    ),
    Sign(
        r"Detected non-NVML platform: could not load NVML",
        anchor="detected non-nvml platform: could not load nvml",
        example="factory.go:107] Detected non-NVML platform: could not load NVML library: libnvidia-ml.so.1:"
        " cannot open shared object file: No such file or directory",
        certainty=Certainty.LIKELY,
    ),
    Sign(
        r"\bstat nvidia\.com/gpu=\S{1,60}: no such file",
        anchor="stat nvidia.com/gpu=",
        example="Error: stat nvidia.com/gpu=0: no such file or directory",
    ),
)

EXPLAINS = ("container-no-gpu-flag", "library-missing", "running-on-cpu", "no-visible-device")

STEPS = (
    Step("See that the host itself is fine.", ("nvidia-smi",), Safety.LOOK),
    Step("See the runtimes that the engine knows.", ("docker", "info"), Safety.LOOK),
    Step(
        "See whether Docker is the one from snap, which is confined and cannot see the driver: then remove"
        " it and install docker-ce or docker.io.",
        ("snap", "list", "docker"),
        Safety.LOOK,
    ),
    Step(
        "Install the package nvidia-container-toolkit from NVIDIA's repository.",
        touches="one package and what it needs",
        undo="remove the package",
    ),
    Step(
        "Register it with the engine.",
        ("nvidia-ctk", "runtime", "configure", "--runtime=docker"),
        Safety.SAFE,
        needs_root=True,
        touches="/etc/docker/daemon.json",
        undo="take the nvidia runtime out of that file",
        verify=("cat", "/etc/docker/daemon.json"),
    ),
    Step(
        "Restart the engine so that it reads the file; running containers end.",
        ("systemctl", "restart", "docker.service"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="all running containers",
        undo="none needed: containers start again",
        verify=("docker", "run", "--rm", "--pull=never", "--gpus", "all", "ubuntu", "nvidia-smi"),
    ),
)


def check(scene: Scene) -> Evidence | None:
    """Docker's configuration names NVIDIA's runtime, and that program is not there."""
    runtime = need(scene.stack.container.docker_runtime)
    if runtime is None or need(runtime.is_there) is not False:
        return None
    return Evidence(
        saw=f"/etc/docker/daemon.json names {runtime.program}, which is not there",
        expected="the package nvidia-container-toolkit installed",
        sources=(scene.stack.container.docker_runtime.source,),
        strength=8,
    )
