"""The line that says what runs: complete where there is room, never wider than the terminal."""

from __future__ import annotations

import pytest

from bringup.engine.build import EngineBuild, EngineKind
from bringup.engine.ports import PortChoice
from bringup.faces.render.starting import dropped_line, engine_words, model_line, moved_line

EMBEDDED = EngineBuild(EngineKind.EMBEDDED, "/x", "2026.10.11549", "Python package")
EXTERNAL = EngineBuild(EngineKind.EXTERNAL, "/x", "b11434", "PATH")


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "smollm2-135m · embedded 2026.10.11549 · context 8,192 · 487 MiB RAM"),
        (60, "smollm2-135m · embedded · context 8,192 · 487 MiB RAM"),
        (43, "smollm2-135m · context 8,192 · 487 MiB RAM"),
        (40, "smollm2-135m · context 8,192"),
    ],
)
def test_the_engine_gives_way(width: int, line: str) -> None:
    made = model_line(
        alias="smollm2-135m", build=EMBEDDED, n_ctx=8192, memory_bytes=487 * 1024**2, width_columns=width
    )
    assert made == line


def test_engines_and_ports_by_name() -> None:
    assert engine_words(EXTERNAL) == "llama-server b11434 (PATH)"
    assert engine_words(EngineBuild(EngineKind.EXTERNAL, "/x", "", "our build")) == "llama-server (our build)"
    assert (
        moved_line(PortChoice(9931, 8080), held="held by x") == "Port 8080 is taken (held by x); using 9931."
    )
    assert moved_line(PortChoice(9931, 8080), held="") == "Port 8080 is taken; using 9931."
    assert "LLAMA_A, GGML_B" in dropped_line(("LLAMA_A", "GGML_B"))
