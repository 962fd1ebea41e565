"""Documents say what is so: generated pages are fresh, versions agree, commands named in them exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools import docs

from bringup import __version__
from bringup.faces.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_generated_pages_are_fresh() -> None:
    stale = [
        path.name
        for path, text in docs.generate().items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    assert stale == [], "run: scripts/docs"


def test_a_stale_page_is_named_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n", encoding="utf-8")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "generate", lambda: {page: "new\n"})
    assert docs.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "page.md is stale; run: scripts/docs" in said
    assert "-old" in said
    assert docs.main([]) == 0
    assert page.read_text(encoding="utf-8") == "new\n"
    assert docs.main(["--check"]) == 0


def test_the_reference_has_every_command() -> None:
    page = docs.command_reference()
    for entry in COMMANDS:
        assert f"## bringup {entry.name}\n" in page
        assert f"Usage: bringup {entry.name}" in page


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", read("CHANGELOG.md"), re.M)
    assert versions[0] == __version__
    assert len(versions) == len(set(versions))


def test_the_changelog_uses_the_four_headings() -> None:
    headings = set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.M))
    assert headings <= {"Added", "Changed", "Fixed", "Removed"}
    assert headings


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_commands_and_files_named_in_a_page_exist(name: str) -> None:
    text = read(name)
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.M))
    assert set(re.findall(r"\bmake ((?!it\b)[a-z-]+)\b", "\n".join(code_in(text)))) <= targets
    for path in re.findall(
        r"\b(?:scripts|tests|src|requirements|tools|benchmarks|docs|fuzz)/[\w./-]*\w", text
    ):
        if "NAME" not in path:
            assert (ROOT / path).exists(), path


def code_in(text: str) -> list[str]:
    """Code spans, fenced and indented blocks of a page."""
    return (
        re.findall(r"`([^`\n]+)`", text)
        + re.findall(r"^    (.+)$", text, re.M)
        + re.findall(r"(?s)```.*?```", text)
    )


def test_scripts_are_short_and_can_be_run() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    assert scripts
    for path in [*scripts, ROOT / ".ci/run"]:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert path.stat().st_mode & 0o111, f"{path.name} cannot be run"
        assert lines[0].startswith("#!"), path.name
        assert lines[1].startswith("# "), f"{path.name} does not say what it does"
        assert "set -eu" in lines, path.name
        assert len(lines) <= 30, f"{path.name} has {len(lines)} lines"


def test_make_calls_scripts_that_exist_and_ci_runs_the_tests_of_the_readme() -> None:
    called = re.findall(r"^\t@?(?:\w+=\w+ )?(scripts/\S+)", read("Makefile"), re.M)
    assert {"scripts/run", "scripts/test", "scripts/check", "scripts/docs"} <= set(called)
    assert [path for path in called if not (ROOT / path).is_file()] == []
    assert read(".ci/run").splitlines()[-1] == "exec make test"
    assert "make test" in read("README.md")
