"""The streaming Markdown: the same picture whatever the cuts, nothing lost, nothing taken back."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bringup.faces.render.inline import Piece, Style, parse_inline
from bringup.faces.render.markdown import MarkdownStream
from bringup.faces.render.wrap import cell_width

SAMPLE = """# A title

Some **bold text**, *slanted*, `code *x*`, snake_case_name, 2 * 3 * 4, [a link](https://x.org/a), **open.
Next line 你好世界你好世界你好世界你好世界你好世界你好世界 end \\* star

- an item that is quite long and will need wrapping because of its length
  - a nested **one**
1. first
> quoted words

```python
def f(x):
    return x**2  # **not bold**
```

| a | b |
|---|---|
| 1 | **two** |
| longer | 3 |

---
***both*** and `` a ` b `` done"""

CHARACTERS = st.text(st.sampled_from("ab *_`[]()#->|\\\n1.~é你"), max_size=120)


def shown(chunks: list[str], *, width: int = 50) -> list[tuple[str, Style]]:
    stream = MarkdownStream(width)
    pieces = [piece for chunk in chunks for piece in stream.feed(chunk)] + stream.finish()
    return [(character, piece.style) for piece in pieces for character in piece.text]


def text_of(chunks: list[str], *, width: int = 50) -> str:
    return "".join(character for character, _ in shown(chunks, width=width))


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_the_cuts_do_not_matter(places: list[int]) -> None:
    assert shown(cut(SAMPLE, places)) == shown([SAMPLE])


@given(CHARACTERS, st.lists(st.integers(0, 10_000), max_size=30))
@example("_111_11111111111", [175])
@example("`a``", [3])
@example("*a**", [3])
@example("a **b*** c", [7])
def test_the_cuts_do_not_matter_for_any_text(text: str, places: list[int]) -> None:
    assert shown(cut(text, places)) == shown([text])


@given(CHARACTERS)
def test_no_letter_is_lost(text: str) -> None:
    def letters(of: str) -> str:
        return re.sub(r"[^ab1é你]", "", of)

    text = re.sub(r"^[ >]*(```|~~~).*$", "", text, flags=re.MULTILINE)
    assert letters(text_of([text])) == letters(text)


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_lines_of_prose_fit_the_width(width: int) -> None:
    prose = SAMPLE.split("```", maxsplit=1)[0]
    assert max(cell_width(line) for line in text_of([prose], width=width).split("\n")) <= width


def test_a_picture() -> None:
    lines = text_of([SAMPLE]).split("\n")
    assert lines[0] == "A title"
    assert "• an item that is quite long and will need" in lines
    assert "  wrapping because of its length" in lines
    assert "  • a nested one" in lines
    assert "│ quoted words" in lines
    assert "      return x**2  # **not bold**" in lines
    assert "a       b" in lines
    assert "longer  3" in lines
    assert "both and a ` b done" in lines
    assert "snake_case_name, 2 * 3 * 4," in " ".join(lines)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a **b** c", (Piece("a "), Piece("b", Style.STRONG), Piece(" c"))),
        ("*a*", (Piece("a", Style.EMPHASIS),)),
        ("***b***", (Piece("b", Style.STRONG | Style.EMPHASIS),)),
        ("`a*b*`", (Piece("a*b*", Style.CODE),)),
        ("a_b_c", (Piece("a"), Piece("_"), Piece("b"), Piece("_"), Piece("c"))),
        ("\\(x\\)", (Piece("\\"), Piece("(x"), Piece("\\"), Piece(")"))),
        ("[x](y)", (Piece("x"), Piece(" (y)", Style.DIM))),
        ("[http://y](http://y)", (Piece("http://y"),)),
    ],
)
def test_inline(text: str, pieces: tuple[Piece, ...]) -> None:
    assert parse_inline(text) == (pieces, "")


def test_an_open_span_waits_and_gives_up_in_bounds() -> None:
    assert parse_inline("so **bo", ended=False) == ((Piece("so "),), "**bo")
    pieces, waiting = parse_inline("**" + "x" * 500, ended=False)
    assert waiting == ""
    assert "".join(piece.text for piece in pieces) == "**" + "x" * 500


def test_words_flow_before_their_line_ends() -> None:
    stream = MarkdownStream(80)
    assert "".join(piece.text for piece in stream.feed("Hello big wor")) == "Hello big"


def test_a_long_table_flows_once_its_columns_are_known() -> None:
    stream = MarkdownStream(60)
    rows = [f"| {n} | {'x' * n} |\n" for n in range(30)]
    waited = [not stream.feed(row) for row in ("| a | b |\n", "|---|---|\n", *rows)]
    assert waited.index(False) == 11
    assert not any(waited[11:])


def test_columns_of_a_long_table_stay_where_they_are() -> None:
    text = "| name | b |\n|---|---|\n" + "".join(f"| {n} | q |\n" for n in range(40))
    stream = MarkdownStream(60)
    shown = "".join(piece.text for piece in (*stream.feed(text), *stream.finish()))
    assert {line.index("q") for line in shown.splitlines() if "q" in line} == {len("name") + 2}
