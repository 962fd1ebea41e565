"""The product keeps the rules of the house, and each rule notices a planted violation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests import architecture
from tests.architecture import CHECKS, ROOT, TABLE_MARK, Rules, Source

RULES = architecture.read_rules((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = architecture.read_sources(ROOT / "src")
Check = Callable[[tuple[Source, ...], Rules], list[str]]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_product_keeps_the_rule(check: Check) -> None:
    assert SOURCES
    assert check(SOURCES, RULES) == []


PLANTED = (
    # rule, module, text that breaks it, text close to it that does not
    ("import_table", "bringup.plan.memory", "import bringup.store.pull", "import bringup.model.gguf"),
    ("import_table", "bringup.model.gguf", "from bringup.machine import files", "from bringup.model import quant"),
    ("import_table", "bringup.machine.files", "from bringup import stack", "from bringup import errors"),
    ("import_table", "bringup.errors", "from bringup.units import KIB", "import enum"),
    ("import_table", "bringup.unheard.of", "import enum", None),
    ("import_table", "bringup.faces.cli.x", "from bringup.store.pull import pull", "from bringup.actions.models.pull import pull"),
    ("import_table", "bringup.faces.cli.x", "from bringup.store import LIMIT", "from bringup.store.local import LocalModel"),
    ("import_table", "bringup.faces.cli.x", "from bringup.machine import files", "from bringup.machine import terminal"),
    ("import_table", "bringup.faces.cli.x", "import bringup.machine", "import bringup.machine.terminal"),
    ("import_table", "bringup.reading", "from bringup.model import gguf", "from bringup.errors import CannotTell"),
    ("import_table", "bringup.plan.x", "def f():\n    from bringup.engine import server", "def f():\n    from bringup.stack import host"),
    ("absolute_imports", "bringup.plan.memory", "from . import simple", "from bringup.plan import simple"),
    ("absolute_imports", "bringup.plan.memory", "from bringup.units import *", "from bringup.units import KIB"),
    ("one_door", "bringup.plan.memory", "import os.path", "import osmosis"),
    ("one_door", "bringup.plan.memory", "from http import client", "from http import HTTPStatus"),
    ("one_door", "bringup.engine.server", "def f():\n    from time import sleep", "import timeit"),
    ("libraries", "bringup.engine.api", "def f():\n    import httpx", "import json"),
    ("libraries", "bringup.store.hub", "import httpx", "def f():\n    import httpx"),
    ("libraries", "bringup.store.hub", "def f():\n    import requests", "def f():\n    import tomllib"),
    ("libraries", "bringup.store.hub", "import tomllib", "import json"),
    ("libraries", "bringup.faces.website", "import starlette", None),
    ("libraries", "bringup.faces.web.pages", "import prometheus_client", "import starlette"),
    ("libraries", "bringup.actions.x", "import sqlite3", "def f():\n    import sqlite3"),
    ("libraries", "bringup.journal.x", "import tomllib", "import sqlite3"),
    ("dangerous_calls", "bringup.machine.process", "f(argv, shell=True)", "f(argv, shell=False)"),
    ("dangerous_calls", "bringup.machine.process", "import os\nos.system('ls')", "import os\nos.listdir('ls')"),
    ("dangerous_calls", "bringup.store.pull", "def f(name):\n    return open(name)", "def f(door):\n    return door.open()"),
    ("dangerous_calls", "bringup.model.gguf", "def f(text):\n    return eval(text)", "def f(text):\n    return text"),
    ("imports_do_nothing", "bringup.stack.host", "COUNT = probe()", "def f():\n    return probe()"),
    ("imports_do_nothing", "bringup.stack.host", "register(f)", "NAMES = frozenset({'a'})"),
    ("imports_do_nothing", "bringup.engine.signs", "def _row():\n    pass\nROWS = (_row(),)", TABLE_MARK + "\ndef _row():\n    pass\nROWS = (_row(),)"),
    ("imports_do_nothing", "bringup.engine.signs", TABLE_MARK + "\nROWS = (probe(),)", None),
    ("imports_do_nothing", "bringup.stack.host", "cache = {}", "TABLE = {'a': 1}"),
    ("imports_do_nothing", "bringup.stack.host", "class A:\n    x = probe()", "class A:\n    x = field(default=1)"),
    ("imports_do_nothing", "bringup.stack.host", "def f(x=probe()):\n    pass", "def f(x=1):\n    probe()"),
    ("imports_do_nothing", "bringup.stack.host", "def f():\n    global x", "def f():\n    x = 1"),
    ("imports_do_nothing", "bringup.stack.host", "for x in range(3):\n    pass", "SEEN = tuple(x for x in range(3))"),
    ("constants_stay", "bringup.stack.host", "T: Final = {}\ndef f():\n    T['a'] = 1", "T: Final = {}\ndef f():\n    return T['a']"),
    ("constants_stay", "bringup.stack.host", "T: Final = []\ndef f():\n    T.append(1)", "def f():\n    t = []\n    t.append(1)"),
    ("sizes", "bringup.plan.long", "x = 1\n" * 501, "x = 1\n" * 500),
    ("sizes", "bringup.plan.long", "x = 1\n" * 501, TABLE_MARK + "\n" + "x = 1\n" * 501),
    ("sizes", "bringup.faces.cli.commands.ps", "x = 1\n" * 81, "x = 1\n" * 80),
    ("sizes", "bringup.plan.x", "def f():\n" + "    x = 1\n" * 61, "def f():\n    'Says.'\n" + "    x = 1\n" * 60),
    ("names", "bringup.store.download_utils", "", None),
    ("names", "bringup.common.x", "", None),
    ("names", "bringup.engine.process_manager", "", None),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "module", "bad", "good"), PLANTED)
def test_a_planted_violation_is_found_and_its_near_miss_is_not(
    rule: str, module: str, bad: str, good: str | None
) -> None:
    check: Check = getattr(architecture, f"check_{rule}")
    rules = replace(RULES, exceptions={})
    assert len(check((Source(module, bad),), rules)) == 1
    if good is not None:
        assert check((Source(module, good),), rules) == []


def test_a_circle_is_found_also_when_it_is_long() -> None:
    ring = tuple(Source(f"bringup.model.m{n}", f"import bringup.model.m{(n + 1) % 4}") for n in range(4))
    assert len(architecture.check_cycles(ring, RULES)) == 1
    assert architecture.check_cycles(ring[:3], RULES) == []


@pytest.mark.parametrize(
    "late",
    ["def f():\n    import bringup.model.a", "if TYPE_CHECKING:\n    from bringup.model.a import A"],
    ids=["in a function", "for types"],
)
def test_no_import_may_close_a_circle_out_of_sight(late: str) -> None:
    pair = (Source("bringup.model.a", "import bringup.model.b"), Source("bringup.model.b", late))
    assert len(architecture.check_cycles(pair, RULES)) == 1


def test_folders_of_actions_import_each_other_one_way() -> None:
    down = (
        Source("bringup.actions.log.a", "from bringup.actions.journal.b import record"),
        Source("bringup.actions.journal.b", "from bringup.actions.journal.c import now"),
        Source("bringup.actions.journal.c", ""),
        Source("bringup.actions.log.d", ""),
    )
    assert architecture.check_folders_of_actions(down, RULES) == []
    back = Source("bringup.actions.journal.e", "def f():\n    from bringup.actions.log.d import told")
    assert len(architecture.check_folders_of_actions((*down, back), RULES)) == 1
    assert architecture.check_cycles((*down, back), RULES) == [], "no two modules import each other"


def test_a_circle_in_the_table_itself_is_found() -> None:
    rules = replace(RULES, imports={"plan": frozenset({"engine"}), "engine": frozenset({"plan"})})
    assert len(architecture.check_cycles((), rules)) == 1


@pytest.mark.parametrize(
    ("text", "row", "violations"),
    [
        ("import os", (frozenset({"os"}), "limits are set in the child itself"), 0),
        ("import os", (frozenset({"os"}), " "), 3),  # no reason: the import, the entry, and its being unused
        ("import json", (frozenset({"os"}), "not needed any more"), 1),
        ("import socket", (frozenset({"os"}), "another module"), 2),
    ],
)
def test_an_exception_needs_a_reason_and_a_use(
    text: str, row: tuple[frozenset[str], str], violations: int
) -> None:
    rules = replace(RULES, exceptions={"bringup.engine.child": row})
    assert len(architecture.check_one_door((Source("bringup.engine.child", text),), rules)) == violations


def test_test_files_stay_within_the_limit_too() -> None:
    folders = ("tests", "tools", "benchmarks", "fuzz")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 2
    long = {
        str(p): n
        for p in files
        if (n := p.read_text(encoding="utf-8").count("\n")) > architecture.FILE_LIMIT_LINES
    }
    assert long == {}
