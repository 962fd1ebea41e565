"""`run --explain` shows the plan that it follows, beside the answer."""

from __future__ import annotations

from pathlib import Path

from tests.stubs.command_line import Home, run_cli


def test_run_explains_the_plan_that_it_follows(own_home: Path, small_model: Path) -> None:
    words = (
        "--engine",
        "embedded",
        "--threads",
        "1",
        "--ctx-size",
        "1k",
        "--prompt",
        "Hi",
        "--max-tokens",
        "2",
    )
    done = run_cli(Home(own_home), "run", str(small_model), *words, "--explain", timeout_s=110)
    assert done.returncode == 0, done.stderr
    assert "It fits in main memory with 1,024 tokens of context" in done.stderr
    assert "--ctx-size 1024" in done.stderr
    assert "As given: --ctx-size 1024, --threads 1." in done.stderr
    assert "It fits" not in done.stdout, "stdout is the answer"
