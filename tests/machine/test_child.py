"""The log of a foreign program that the keeper writes."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bringup.machine.child import RotatedFile


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Nothing more can be opened meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_log_that_somebody_removed_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    log = RotatedFile(str(path), limit_bytes=1000)
    log.write(b"first\n")
    path.unlink()
    log.write(b"second\n")
    assert path.read_bytes() == b"second\n" and path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.mkdir()  # nothing can be opened there: what comes is lost, and the engine goes on
    log.write(b"third\n")
    path.rmdir()
    log.write(b"fourth\n")
    assert path.read_bytes() == b"fourth\n"


def test_a_log_that_cannot_be_begun_anew_is_written_on_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    log = RotatedFile(str(path), limit_bytes=10)
    log.write(b"12345678\n")
    with no_descriptor_left():
        log.write(b"second\n")
    with (tmp_path / "other").open("wb"):  # it would get the number that was given up
        log.write(b"third\n")
    assert (tmp_path / "other").read_bytes() == b""
    assert (tmp_path / "engine.log.1").read_bytes() == b"12345678\nsecond\n"
    assert path.read_bytes() == b"third\n"
