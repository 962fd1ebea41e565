"""The cleaner: nothing that drives or deceives a terminal passes, everything readable does."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.faces.hostile import FORBIDDEN, hostile_text

from bringup.faces.render.clean import Cleaner, clean


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain text\n\twith a tab", "plain text\n\twith a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;Y3VybCBldmls\x07clip", "clip"),
        ("\x1bP1$r0m\x1b\\dcs", "dcs"),
        ("\x1b^pm\x1b\\\x1b_apc\x1b\\\x1bXsos\x1b\\rest", "rest"),
        ("\x9b31mC1 form\x9d0;t\x9cend", "C1 formend"),
        ("\x1b(0lqk\x1b(B", "lqk"),
        ("\x1bcreset", "reset"),
        ("\x1b\x1b[31mtwice", "twice"),
        ("50%\r100%\x08\x07\x00\x7f", "50%100%"),
        ("a\r\nb", "a\nb"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("\u2066isolate\u2069 \u200emark\u200f", "isolate mark"),
        ("line\u2028para\u2029graph\x85next", "lineparagraphnext"),
        ("pay\u200bpal pay\u200dpal \ufeffbom", "paypal paypal bom"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("half \ud83d surrogate", "half \ufffd surrogate"),
        ("naïve 日本語 العربية 🙂", "naïve 日本語 العربية 🙂"),
    ],
)
def test_what_is_shown(foreign: str, shown: str) -> None:
    assert clean(foreign) == shown


def test_joiners_stay_where_scripts_and_emoji_need_them() -> None:
    for text in ("می‌خواهم", "क्‍ष", "👩‍💻"):
        assert clean(text) == text
    assert clean("é\u200d\u200d\u200dé") == "é\u200dé"


def test_an_unfinished_sequence_hides_neither_the_next_line_nor_the_far_end() -> None:
    assert clean("\x1b]0;no end\nseen") == "\nseen"
    assert clean("\x1b]" + "x" * 20_000 + "seen").endswith("seen")
    assert clean("\x1b[" + "1" * 20_000 + "m seen").endswith("m seen")


def test_a_line_can_be_kept_on_its_line() -> None:
    assert clean("a\nb\tc", keep_newlines=False) == "a b c"


@given(hostile_text())
def test_nothing_forbidden_is_left_and_cleaning_again_changes_nothing(foreign: str) -> None:
    shown = clean(foreign)
    assert FORBIDDEN.search(shown) is None
    assert clean(shown) == shown


@given(hostile_text(), st.data())
def test_any_cuts_give_the_same(foreign: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(foreign)), max_size=6)))
    cleaner = Cleaner()
    pieces = [foreign[start:end] for start, end in zip([0, *cuts], [*cuts, len(foreign)], strict=True)]
    assert "".join(map(cleaner.feed, pieces)) == clean(foreign)


@pytest.mark.parametrize(("opener", "limit"), [("\x1b[", 256), ("\x1b]", 8192), ("\x1b(", 256)])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_cut_at_the_length_limit_changes_nothing(opener: str, limit: int, beyond: int) -> None:
    start, rest = opener + " " * (limit + beyond), "mm\x07 after"
    cleaner = Cleaner()
    assert cleaner.feed(start) + cleaner.feed(rest) == clean(start + rest)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_passes_untouched(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "unit", ["\x1b", "\x1b[", "\x1b]", "\x1b[1m", "\x9d\x1b", "\u200d", "é\u200d", "\x1bP\n"]
)
def test_time_grows_with_the_length_only(unit: str) -> None:
    def seconds(count: int) -> float:
        best = 10.0
        for _ in range(3):
            start = time.process_time()
            clean(unit * count)
            best = min(best, time.process_time() - start)
        return best

    small, large = seconds(10_000), seconds(80_000)
    assert large < max(small, 0.002) * 8 * 4
