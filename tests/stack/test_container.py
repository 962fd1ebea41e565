"""Containers, WSL and CDI: raw lines and small trees."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.machine.rooted import RootedMachine
from bringup.reading import Absent, Known, Unreadable
from bringup.stack.container import (
    Inside,
    Wsl,
    parse_docker_runtime,
    parse_inside,
    parse_mounts,
    parse_wsl,
    probe_container,
    recognise,
)
from bringup.stack.container_cdi import parse_host_paths, probe_cdi
from bringup.stack.raw_text import split_lines


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("lxc\n", Inside.LXC),
        ("podman", Inside.PODMAN),
        ("0::/system.slice/docker-4f2a81.scope\n", Inside.DOCKER),
        ("12:pids:/kubepods/burstable/pod1/ab\n", Inside.KUBERNETES),
        ("0::/../libpod-77.scope", Inside.PODMAN),
        ("systemd-nspawn", Inside.NSPAWN),
        ("0::/init.scope\n", Inside.OTHER),
        ("0::/system.slice/dockerd-rootless.service", Inside.OTHER),
        ("0::/system.slice/docker.service", Inside.DOCKER),
    ],
)
def test_words_of_an_init_or_a_control_group(text: str, kind: Inside) -> None:
    assert parse_inside(text) is kind


@pytest.mark.parametrize(
    ("release", "wsl"),
    [
        ("5.15.167.4-microsoft-standard-WSL2\n", Wsl.TWO),
        ("4.19.104-microsoft-standard", Wsl.TWO),
        ("4.4.0-19041-Microsoft", Wsl.ONE),
        ("6.8.0-60-generic", Wsl.NONE),
        ("6.8.0-1025-azure", Wsl.NONE),
    ],
)
def test_wsl_by_the_kernels_release(release: str, wsl: Wsl) -> None:
    assert parse_wsl(release) is wsl


def test_marks_in_the_root_decide(tmp_path: Path) -> None:
    machine = RootedMachine(str(tmp_path))
    assert probe_container(machine).inside == Known(Inside.NONE, "/")
    (tmp_path / ".dockerenv").write_text("")
    assert probe_container(machine).is_inside
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.containerenv").write_text("")
    assert probe_container(machine).inside == Known(Inside.PODMAN, "/run/.containerenv")


def test_mounted_libraries_are_those_of_the_host() -> None:
    text = (
        "812 790 8:2 /usr/lib/libcuda.so.570.169 /usr/lib/x86_64-linux-gnu/libcuda.so.570.169 ro - ext4 /a\n"
        "813 790 8:2 /etc/hosts /etc/hosts rw - ext4 /dev/a rw\n"
    )
    assert parse_mounts(text) == ("/usr/lib/x86_64-linux-gnu/libcuda.so.570.169",)


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}', "nvidia-container-runtime"),
        ('{"runtimes": {}}', None),
        ("[]", None),
        ('{"runtimes": {"nvidia": []}}', None),
    ],
)
def test_dockers_configuration(text: str, program: str | None) -> None:
    assert parse_docker_runtime(text) == program


def test_a_broken_configuration_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "etc/docker").mkdir(parents=True)
    (tmp_path / "etc/docker/daemon.json").write_text("{")
    assert isinstance(probe_container(RootedMachine(str(tmp_path))).docker_runtime, Unreadable)


YAML = """cdiVersion: 0.5.0
kind: nvidia.com/gpu
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  hooks:
  - path: /usr/bin/nvidia-ctk
  mounts:
  - containerPath: /usr/lib/libcuda.so.570.169
    hostPath: /usr/lib/libcuda.so.570.169
"""


def test_a_specification_names_files_of_the_host(tmp_path: Path) -> None:
    assert parse_host_paths(YAML) == ("/dev/nvidiactl", "/usr/bin/nvidia-ctk", "/usr/lib/libcuda.so.570.169")
    assert parse_host_paths('{"mounts": [{"containerPath": "/c", "hostPath": "/a/b"}]}') == ("/a/b",)
    (tmp_path / "etc/cdi").mkdir(parents=True)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/nvidia-ctk").write_text("")
    (tmp_path / "etc/cdi/nvidia.yaml").write_text(YAML)
    (tmp_path / "etc/cdi/other.yaml").write_text("kind: vendor.com/nic\n")
    found = probe_cdi(RootedMachine(str(tmp_path)))
    assert isinstance(found, Known)
    (one,) = found.value
    assert one.missing == ("/usr/lib/libcuda.so.570.169",), "devices of a disk that does not run are unknown"
    assert [str(version) for version in one.versions] == ["570.169"]


def test_no_specification_is_absent(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert isinstance(probe_cdi(RootedMachine(str(tmp_path))), Absent)


@given(st.text(max_size=200))
def test_no_text_breaks_a_parser(text: str) -> None:
    parse_inside(text)
    parse_wsl(text)
    parse_mounts(text)
    parse_host_paths(text)


def test_a_paste_tells_wsl() -> None:
    lines = split_lines("Linux box 5.15.167.4-microsoft-standard-WSL2 #1 SMP\n", source="test")
    assert recognise(lines).is_wsl
    assert not recognise(split_lines("Linux box 6.8.0-60-generic #63\n", source="test")).is_wsl
