"""The two lanes of a whole run: what may not run beside others stays together, in order, on one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lanes import BESIDE, NOT_BESIDE, ONE_AFTER_ANOTHER, TOGETHER, unit_of

ROOT = Path(__file__).parents[2]

CONFTEST = """
import os

import pytest
from tests.conftest import pytest_collection_modifyitems, pytest_xdist_make_scheduler


@pytest.fixture(autouse=True)
def told(request):
    with open("told", "a") as file:
        file.write(f"{os.environ['PYTEST_XDIST_WORKER']} {request.node.nodeid}\\n")
"""
MODULE = "import pytest\n\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n):\n    pass\n"


def test_what_is_named_is_there() -> None:
    modules = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    unused = [begin for begin in BESIDE + TOGETHER if not any(module.startswith(begin) for module in modules)]
    assert unused == []
    assert [name for name in NOT_BESIDE if name not in modules or not name.startswith(BESIDE)] == []


def test_engines_and_servers_are_never_beside_each_other() -> None:
    for name in ("engine/test_server.py", "serve/test_lifecycle.py", "web/test_holds.py"):
        assert unit_of(f"tests/{name}::test_it") == ONE_AFTER_ANOTHER
    assert unit_of("tests/store/test_kill.py::test_it") == "tests/store/"
    assert unit_of("tests/model/test_gguf.py::test_it[a::b]") == "tests/model/test_gguf.py"


def test_one_lane_keeps_its_order_on_one_process(tmp_path: Path) -> None:
    for name in (
        "doctor/test_0",
        "engine/test_a",
        "engine/test_b",
        "model/test_c",
        "serve/test_d",
        "store/test_e",
    ):
        path = tmp_path / f"tests/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(MODULE, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*argv, "--numprocesses", "2", "--dist", "loadscope", "tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout.decode()
    ran = [line.split() for line in (tmp_path / "told").read_text(encoding="utf-8").splitlines()]
    for unit, names in (
        (ONE_AFTER_ANOTHER, ("engine/test_a", "engine/test_b", "serve/test_d")),
        ("tests/store/", ("store/test_e",)),
    ):
        found = [(worker, test) for worker, test in ran if unit_of(test) == unit]
        assert [test for _, test in found] == [f"tests/{n}.py::test_it[{k}]" for n in names for k in range(4)]
        assert len({worker for worker, _ in found}) == 1
    first = {worker: unit_of(test) for worker, test in reversed(ran)}
    assert sorted(first.values()) == [ONE_AFTER_ANOTHER, "tests/store/"], "the long ones first"
    assert len(ran) == 24
