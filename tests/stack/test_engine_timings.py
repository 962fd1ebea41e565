"""Speeds of single requests in an engine's own log."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.actions.running.run_speed import speed_in_log
from bringup.stack.engine_timings import RequestTimings, parse_timings

# Two starts of a real llama-server (b11549), shortened; the requests of the first do not count.
LOG = """\
0.00.003.531 I srv    load_model: loading model '/models/a.gguf'
0.02.026.061 I slot print_timing: id  0 | task 0 | prompt eval time =       1.00 ms /  4000 tokens (    0.00 ms per token,     1.00 tokens per second)
0.02.026.069 I slot print_timing: id  0 | task 0 |        eval time =       1.00 ms /  4000 tokens (    0.00 ms per token,     1.00 tokens per second)
0.00.003.531 I srv    load_model: loading model '/models/a.gguf'
0.02.026.061 I slot print_timing: id  0 | task 0 | prompt eval time =     293.17 ms /    40 tokens (    7.33 ms per token,   136.44 tokens per second)
0.02.026.069 I slot print_timing: id  0 | task 0 |        eval time =    1245.78 ms /    64 tokens (   19.77 ms per token,    50.57 tokens per second)
0.02.026.070 I slot print_timing: id  0 | task 0 |       total time =    1538.95 ms /   104 tokens
0.03.026.061 I slot print_timing: id  0 | task 9 | prompt eval time =    1000.00 ms /   200 tokens (    5.00 ms per token,   200.00 tokens per second)
0.03.026.069 I slot print_timing: id  0 | task 9 |        eval time =      10.00 ms /     4 tokens (    2.50 ms per token,   400.00 tokens per second)
"""  # noqa: E501 - raw lines


def test_requests_since_the_last_start_are_read() -> None:
    first, second = parse_timings(LOG)
    assert (first.prompt_tokens, first.answer_tokens) == (40, 64)
    assert (first.prompt_s, first.answer_s) == (pytest.approx(0.29317), pytest.approx(1.24578))
    assert second == RequestTimings(200, 1.0, 4, 0.01)
    assert parse_timings("") == ()
    assert parse_timings("prompt eval time = 3 ms / tokens") == ()


def test_a_log_gives_what_a_run_measured(tmp_path: Path) -> None:
    path = tmp_path / "8080.log"
    path.write_text(LOG)
    assert speed_in_log(str(path)).data() == {
        "predicted_tokens": 68,
        "predicted_tokens_per_s": 400.0,
        "prompt_tokens_per_s": 200.0,
        "generation_tokens_per_s": 51.373,
        "longest_prompt": {"tokens": 200, "tokens_per_s": 200.0},
    }


def test_no_log_is_no_speed(tmp_path: Path) -> None:
    said = speed_in_log(str(tmp_path / "none.log")).data()
    assert said == {"predicted_tokens": 0, "predicted_tokens_per_s": 0.0, "prompt_tokens_per_s": 0.0}
