"""What our own looks at NVML and CUDA print on a made machine."""

from __future__ import annotations

import json

from tests.cases._make.machine import Made

MIB = 1024**2


def add_nvml(made: Made, *cards: dict[str, object], version: str = "570.169", cuda: int = 12080) -> None:
    """The driver answers and names these cards."""
    report = {
        "schema": 1,
        "devices": [{"index": index, **card} for index, card in enumerate(cards)],
        "init": {"value": None},
        "driver_version": {"value": version},
        "cuda_version": {"value": cuda},
        "count": {"value": len(cards)},
    }
    made.command(("bringup-nvml",), json.dumps(report) + "\n")


def refuse_nvml(made: Made, code: int, text: str) -> None:
    """The driver does not start."""
    report = {"schema": 1, "devices": [], "init": {"code": code, "text": text}}
    made.command(("bringup-nvml",), json.dumps(report) + "\n")


def start_cuda(made: Made, code: int = 0, words: str = "CUDA_SUCCESS", *, cards: int = 1) -> None:
    """CUDA starts, or says why not."""
    report: dict[str, object] = {"schema": 1, "init": code, "words": words, "cuda_version": 12080}
    if code == 0:
        report["count"] = cards
    made.command(("bringup-cuda",), json.dumps(report) + "\n")


def card(
    name: str = "NVIDIA GeForce RTX 3080 Ti",
    *,
    capability: tuple[int, int] = (8, 6),
    used_mib: int = 812,
    total_mib: int = 12288,
    processes: tuple[tuple[int, int], ...] = (),
    reasons: int = 1,
) -> dict[str, object]:
    """One idle, healthy card; `processes` are pairs of process number and MiB."""
    values: dict[str, object] = {
        "handle": 0,
        "name": name,
        "bus_address": "0000:01:00.0",
        "compute_capability": list(capability),
        "memory": [total_mib * MIB, used_mib * MIB, (total_mib - used_mib) * MIB],
        "temperature_c": 41,
        "power_mw": 21000,
        "power_limit_mw": 350000,
        "power_default_mw": 350000,
        "clock_mhz": 210,
        "clock_most_mhz": 2100,
        "clock_reasons": reasons,
        "link_generation": 1,
        "link_width_lanes": 16,
        "link_width_most_lanes": 16,
        "compute_mode": 0,
        "persistence_mode": 1,
        "compute_processes": [[number, mib * MIB] for number, mib in processes],
        "graphics_processes": [],
    }
    answers: dict[str, object] = {key: {"value": value} for key, value in values.items()}
    for key in ("uncorrected_errors", "uncorrected_errors_ever", "remapped_rows", "mig_mode"):
        answers[key] = {"code": 3, "text": "Not Supported"}
    return answers
