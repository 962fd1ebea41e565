"""A pattern that is compiled later answers as one that is compiled now."""

from __future__ import annotations

import re
import sys
from subprocess import run

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bringup.patterns import needed_words, regex


@pytest.mark.parametrize("method", ["search", "match", "fullmatch", "findall", "split"])
def test_it_answers_as_the_compiled_one(method: str) -> None:
    later, now = regex(r"(?i)b(\d)", re.MULTILINE), re.compile(r"(?i)b(\d)", re.MULTILINE)
    for text in ("B1 b2", "xb3", ""):
        assert str(getattr(later, method)(text)) == str(getattr(now, method)(text))
    assert later.sub("-", "b1b2") == "--"
    assert (later.pattern, later.flags, later.groups) == (now.pattern, now.flags, now.groups)


def test_bytes_are_patterns_too() -> None:
    match = regex(rb"^Version: (\S+)$", re.MULTILINE).search(b"Package: a\nVersion: 1.2\n")
    assert match is not None
    assert match[1] == b"1.2"


def test_a_broken_pattern_is_told_when_it_is_used() -> None:
    broken = regex("(")
    with pytest.raises(re.error):
        broken.search("")


def test_every_pattern_of_ours_compiles() -> None:
    """Nothing but its use would tell: here each pattern at a module's top is used once."""
    code = (
        "import importlib, pkgutil, bringup\n"
        "from bringup import patterns\n"
        "made = []\n"
        "begin = patterns._Pattern.__init__\n"
        "patterns._Pattern.__init__ = lambda one, *given: (begin(one, *given), made.append(one))[0]\n"
        "for package in ('stack', 'faults', 'machine', 'actions', 'engine', 'journal', 'faces.render'):\n"
        "    found = importlib.import_module('bringup.' + package)\n"
        "    for module in pkgutil.walk_packages(found.__path__, found.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "assert len(made) > 50, len(made)\n"
        "for one in made: one.search(b'' if isinstance(one._text, bytes) else '')\n"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"(?i)Foo (?:bar|baz)+qux", ("foo ",)),
        (r"a|bcd", ("a", "bcd")),
        (r"x{2,3}yz+?w*+vu", ("vu",)),
        (r"ab*?cd", ("cd",)),
        (r"\[err\]: \d+ lost", (" lost",)),
        (r"[^]a]bc[(]", ("bc",)),
        (r"a\.?b|c+d", ("a", "d")),
        (r"(a(b|c)d)e|f(?!oo)bar", ("e", "bar")),
        (r"a{b}c", ("a{b}c",)),
        (r"\x41bc", ()),
        (r"(?x) a b", ()),
        (r"\d+|abc", ()),
        (r"straße", ("stra",)),
    ],
)
def test_each_match_holds_a_needed_word(pattern: str, words: tuple[str, ...]) -> None:
    assert needed_words(pattern) == words

    @settings(
        max_examples=25,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.from_regex(pattern))
    def try_one(text: str) -> None:
        assert not words or any(word in text.lower() for word in words)

    try_one()
