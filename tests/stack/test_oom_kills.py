"""Of a live kernel log only an engine's death of today is a present fault."""

from __future__ import annotations

import pytest

from bringup.stack.oom_kills import without_foreign_kills, without_old_traps

KILL = """\
[  100.0] usb 1-1: new device
[  800.0] {starter} invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0
[  800.1] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,task={victim},pid=42,uid=1000
[  800.2] Out of memory: Killed process 42 ({victim}) total-vm:48123456kB, anon-rss:30123456kB
[  800.3] oom_reaper: reaped process 42 ({victim}), now anon-rss:0kB
[  900.0] usb 1-1: gone
"""


@pytest.mark.parametrize("victim", ["llama-server", "ollama", "ollama_llama_se", "koboldcpp-linux"])
def test_an_engine_that_was_killed_stays(victim: str) -> None:
    kept = without_foreign_kills(KILL.format(starter="Xorg", victim=victim), uptime_s=1000.0)
    assert "invoked oom-killer" in kept
    assert f"task={victim}" in kept
    assert f"({victim}) total-vm" in kept


@pytest.mark.parametrize("victim", ["cc1plus", "python", "chrome", "firefox", "mysqld"])
def test_another_program_that_was_killed_does_not(victim: str) -> None:
    kept = without_foreign_kills(KILL.format(starter="llama-server", victim=victim), uptime_s=1000.0)
    assert kept.split("\n") == ["[  100.0] usb 1-1: new device", "[  900.0] usb 1-1: gone", ""]


def test_a_kill_of_two_days_ago_is_history_and_one_of_an_hour_ago_is_not() -> None:
    text = KILL.format(starter="x", victim="llama-server")
    assert "oom-kill" not in without_foreign_kills(text, uptime_s=2 * 86_400.0)
    assert "oom-kill" in without_foreign_kills(text, uptime_s=3_600.0 + 800)
    assert "oom-kill" in without_foreign_kills(text, uptime_s=None)


def test_two_kills_are_told_apart() -> None:
    text = KILL.format(starter="a", victim="chrome") + KILL.format(starter="b", victim="ollama")
    kept = without_foreign_kills(text, uptime_s=None)
    assert "chrome" not in kept
    assert "b invoked oom-killer" in kept
    assert "a invoked oom-killer" not in kept


def test_an_unknown_instruction_of_an_hour_ago_is_history() -> None:
    text = "[  100.0] traps: llama-server[5] trap invalid opcode ip:1 in libggml-cpu.so\n[  200.0] x"
    assert without_old_traps(text, uptime_s=100.0 + 3_599) == text
    assert without_old_traps(text, uptime_s=None) == text
    assert without_old_traps(text, uptime_s=100.0 + 3_601) == "[  200.0] x"
