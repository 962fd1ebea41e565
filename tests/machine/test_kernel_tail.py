"""What the kernel says from now on: from its own device, or from the file that a log service writes."""

from __future__ import annotations

import os
from errno import EINVAL
from pathlib import Path

import pytest

from bringup.machine import kernel_tail
from bringup.machine.kernel_tail import KernelTail, waiting_records

XID = "NVRM: Xid (PCI:0000:01:00): 79, pid=1234, GPU has fallen off the bus."


def test_only_what_is_new_of_a_file_also_when_it_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_text(f"old {XID}\n")
    tail = KernelTail(device=str(tmp_path / "none"), log_files=(str(tmp_path / "other"), str(log)))
    assert tail.new_lines() == []
    with log.open("a") as more:
        more.write(f"{XID}\n")
    assert tail.new_lines() == [XID]
    assert tail.new_lines() == []
    log.write_text("after rotation\n")
    assert tail.new_lines() == ["after rotation"]
    log.unlink()
    assert tail.new_lines() == []
    tail.close()
    assert tail.new_lines() == []


def test_records_of_the_device_do_not_block(tmp_path: Path) -> None:
    """Made: a named pipe; it, too, has nothing to read until somebody writes."""
    device = tmp_path / "kmsg"
    os.mkfifo(device)
    tail = KernelTail(device=str(device))
    assert tail.new_lines() == []
    writer = os.open(device, os.O_WRONLY | os.O_NONBLOCK)
    try:
        assert tail.new_lines() == []
        os.write(writer, f"4,123,5678901234,-;{XID}\n".encode())
        assert [line.split(";", 1)[1] for line in tail.new_lines()] == [XID]
        assert tail.new_lines() == []
    finally:
        os.close(writer)
        tail.close()


def test_the_kernel_itself_can_be_asked_where_it_lets_us() -> None:
    tail = KernelTail()
    lines = tail.new_lines()
    tail.close()
    assert all(isinstance(line, str) for line in lines)


def test_where_nothing_can_be_read_there_is_nothing(tmp_path: Path) -> None:
    tail = KernelTail(device=str(tmp_path / "none"), log_files=())
    assert tail.new_lines() == []
    with pytest.raises(FileNotFoundError):
        os.stat(tmp_path / "none")
    tail.close()


def test_a_kernel_that_refuses_to_be_read_is_left_for_the_file(tmp_path: Path) -> None:
    """Made: this process's memory at address 0 can be opened and not be read (EIO)."""
    log = tmp_path / "kern.log"
    log.write_text(f"old {XID}\n")
    tail = KernelTail(device="/proc/self/mem", log_files=(str(log),))
    assert tail.new_lines() == []
    with log.open("a") as more:
        more.write(f"{XID}\n")
    assert tail.new_lines() == [XID]
    tail.close()


def test_an_overlong_or_overwritten_record_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [OSError(EINVAL, "too long"), BrokenPipeError(), b"6,1,2,-;after\n", BlockingIOError()]

    def read(_: int, __: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, bytes):
            return answer
        raise answer

    monkeypatch.setattr(kernel_tail.os, "read", read)
    assert list(waiting_records(0)) == [b"6,1,2,-;after\n"]


def test_an_empty_device_under_the_kernels_name_ends_at_once() -> None:
    """In a container it may be /dev/null: once the search for the OOM killer's trace read it for ever."""
    handle = os.open(os.devnull, os.O_RDONLY)
    try:
        assert list(waiting_records(handle)) == []
    finally:
        os.close(handle)
