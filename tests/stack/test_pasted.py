"""Pasted text of any length becomes lines with their numbers."""

from __future__ import annotations

from time import process_time

import pytest
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


MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"


@pytest.mark.parametrize(
    "sentence",
    [
        f'If you see "{MISMATCH}" after an update, restart.',
        f"When you get {MISMATCH}, the module is an old one.",
        f"Error messages such as '{MISMATCH}' come from an upgrade.",
        f'3. The error "{MISMATCH}" means that the two are of different versions.',
    ],
)
def test_a_sentence_of_a_guide_tells_of_no_message_that_came(sentence: str) -> None:
    assert not read_pasted(sentence)[1].has("version mismatch")
    assert read_pasted(f"{sentence}\n{MISMATCH}")[1].has("version mismatch")


@pytest.mark.parametrize(
    "sentence",
    [
        f'nvidia-smi says "{MISMATCH}"',
        f'I get "{MISMATCH}" since the update',
        f'If I start nvidia-smi I get "{MISMATCH}"',
        f"we see errors such as '{MISMATCH}' on two machines",
        f"error: {MISMATCH}",
    ],
)
def test_what_a_person_tells_of_a_message_counts(sentence: str) -> None:
    assert read_pasted(sentence)[1].has("version mismatch")
