"""Cures of containers for the engine that shows: faults write their steps for Docker."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from bringup.faults._diagnose import Diagnosis, Finding
from bringup.faults._fault import Safety, Step
from bringup.stack.lines import Lines

_HOST: Final = Step("See that the host itself is fine.", ("nvidia-smi",), Safety.LOOK)
_TOOLKIT: Final = Step(
    "Install the package nvidia-container-toolkit on the node from NVIDIA's repository.",
    touches="one package and what it needs",
    undo="remove the package",
)
_POD: Final = Step(
    "Ask for it in the pod: runtimeClassName: nvidia, in the device plugin's too, with a RuntimeClass of that"
    " name and handler; it is not needed where nvidia is the default runtime.",
    safety=Safety.SAFE,
    touches="the pod's description",
    undo="take the line out",
)
_K3S: Final = (
    _HOST,
    _TOOLKIT,
    Step(
        "Restart k3s (an agent: k3s-agent): it looks for NVIDIA's runtime when it starts, and writes it into"
        " its own containerd's configuration.",
        ("systemctl", "restart", "k3s.service"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="the node's control",
        undo="none needed: pods go on",
        verify=("grep", "-n", "nvidia", "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"),
    ),
    _POD,
)
_CONTAINERD: Final = (
    _HOST,
    _TOOLKIT,
    Step(
        "Register it with containerd, as the runtime of all pods.",
        ("nvidia-ctk", "runtime", "configure", "--runtime=containerd", "--nvidia-set-as-default"),
        Safety.SAFE,
        needs_root=True,
        touches="/etc/containerd/config.toml or a file in its conf.d",
        undo="take the nvidia runtime out of that file",
        verify=("grep", "-rn", "nvidia", "/etc/containerd"),
    ),
    Step(
        "Restart containerd so that it reads the file.",
        ("systemctl", "restart", "containerd.service"),
        Safety.DISRUPTIVE,
        needs_root=True,
        touches="containerd; running containers go on",
        undo="none needed",
    ),
    _POD,
)
_PODMAN: Final = (
    _HOST,
    _TOOLKIT,
    Step(
        "Write the description of the devices that podman reads; anew after each change of the driver.",
        ("nvidia-ctk", "cdi", "generate", "--output=/etc/cdi/nvidia.yaml"),
        Safety.SAFE,
        needs_root=True,
        touches="/etc/cdi/nvidia.yaml",
        undo="delete that file",
        verify=("nvidia-ctk", "cdi", "list"),
    ),
    Step(
        "Ask for them when the container is started: podman run --device nvidia.com/gpu=all.",
        safety=Safety.SAFE,
        touches="how the container is started",
        undo="start it as before",
    ),
)
_DOCKER: Final = (
    r"\bdocker(?:d\b|:| run| compose|-compose| info|.service)|/etc/docker|/var/lib/docker|from daemon"
)
_ENGINES: Final = (
    (r"\bk3s\b", _K3S),
    (r"\bpodman\b", _PODMAN),
    (r"(?<!io\.)\bcontainerd\b", _CONTAINERD),
    (r"\bkubectl\b|nvidia-device-plugin", _CONTAINERD),
    (r"\bkube\w+|Detected non-NVML platform|If this is a GPU node", _CONTAINERD),
)
"""Words of an engine, and what it wants; the first that a text has."""

_FAULT: Final = "container-runtime-missing"


def for_its_container_engine(found: Diagnosis, lines: Lines) -> Diagnosis:
    """The same diagnosis, its steps for podman, k3s or containerd where a text names one and no Docker."""
    if all(finding.fault.id != _FAULT for finding in found.findings):
        return found
    text = "\n".join(line.text for line in lines.lines)
    if re.search(_DOCKER, text):
        return found
    steps = next((steps for pattern, steps in _ENGINES if re.search(pattern, text)), None)
    if steps is None:
        return found
    return dataclasses.replace(found, findings=tuple(_with(finding, steps) for finding in found.findings))


def _with(finding: Finding, steps: tuple[Step, ...]) -> Finding:
    if finding.fault.id != _FAULT:
        return finding
    return dataclasses.replace(finding, evidence=dataclasses.replace(finding.evidence, steps=steps))
