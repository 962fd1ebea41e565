"""Pasted text of any length becomes lines with their numbers."""

from __future__ import annotations

from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from bringup.stack.pasted import read_pasted
from bringup.stack.raw_text import THIN_ABOVE_CHARACTERS, split_lines


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    stack, lines = read_pasted(text)
    assert stack is not None
    assert [line.number for line in lines.lines] == sorted({line.number for line in lines.lines})


def test_prefixes_of_logs_are_stripped() -> None:
    text = (
        "Jul 15 06:55:01 host kernel: [   12.345678] NVRM: loading\n"
        "2025-07-15T06:55:01.123456+02:00 host kernel: NVRM: loading\n"
        "server-1  | NVRM: loading\n"
        "[  12.345678] NVRM: loading\r\n"
    )
    assert [line.text for line in split_lines(text, source="test").lines] == ["NVRM: loading"] * 4


def test_a_long_log_is_thinned_and_the_odd_line_stays() -> None:
    noise = [f"[{number}.000001] usb 1-2: new device number {number}" for number in range(60_000)]
    noise[30_000] = "[30000.000001] NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus."
    text = "\n".join(noise)
    assert len(text) > THIN_ABOVE_CHARACTERS
    lines = split_lines(text, source="test")
    assert len(lines.lines) < 100
    assert [line.number for line in lines.with_anchor("xid")] == [30_001]
    assert (lines.lines[0].number, lines.lines[-1].number) == (1, 60_000)


def test_ten_megabytes_are_read_in_time() -> None:
    text = "\n".join(
        f"[{n}.000001] usb 1-{n % 9}: reset high-speed device number {n}" for n in range(180_000)
    )
    started_s = process_time()
    read_pasted(text)
    assert process_time() - started_s < 2.0  # aim 1 s; the margin is for a busy machine
