"""Cures of containers for the engine that a paste shows."""

from __future__ import annotations

import pytest

from bringup.actions.diagnosis.doctor import examine_text


def commands(text: str) -> list[str]:
    found = examine_text(text, subject="test").diagnosis.findings[0]
    assert found.fault.id == "container-runtime-missing"
    return [" ".join(map(str, step.command)) for step in found.evidence.steps or found.fault.steps]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('k3s[871]: no runtime for "nvidia" is configured', "systemctl restart k3s.service"),
        ('containerd[91]: no runtime for "nvidia" is configured', "--runtime=containerd"),
        (
            "factory.go:107] Detected non-NVML platform: could not load NVML library: libnvidia-ml.so.1:"
            " cannot open shared object file: No such file or directory",
            "--runtime=containerd",
        ),
        (
            "podman run --device nvidia.com/gpu=all x\n"
            "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
            "nvidia-ctk cdi generate",
        ),
    ],
)
def test_an_engine_that_shows_gets_its_own_steps(text: str, wanted: str) -> None:
    shown = commands(text)
    assert any(wanted in command for command in shown), shown
    assert not any("docker" in command for command in shown), shown


@pytest.mark.parametrize(
    "text",
    [
        "docker: Error response from daemon: unknown or invalid runtime name: nvidia.",
        'Error response from daemon: could not select device driver "" with capabilities: [[gpu]]\n'
        "containerd",
        "unknown or invalid runtime name: nvidia",
        "Runtimes: io.containerd.runc.v2 runc\nunknown or invalid runtime name: nvidia",
        "I use k3s elsewhere\ndocker run --gpus all x\nunknown or invalid runtime name: nvidia",
    ],
)
def test_docker_keeps_its_steps(text: str) -> None:
    assert any("--runtime=docker" in command for command in commands(text))
