"""A test may be skipped only for a reason that stands in skip_reasons.txt; in CI another one fails it all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("skip_reasons.txt")


def read_patterns(text: str) -> tuple[str, ...]:
    """The patterns of the list: one a line, `#` begins a remark."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def unlisted(reasons: Iterable[str], patterns: tuple[str, ...]) -> list[str]:
    """Reasons that no pattern fits."""
    return sorted({r for r in reasons if not any(fnmatchcase(r, pattern) for pattern in patterns)})


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Name the skips that nobody listed; fail the run for them in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    reasons = (
        report.longrepr[2].removeprefix("Skipped: ")
        for report in skipped
        if isinstance(report.longrepr, tuple)
    )
    found = unlisted(reasons, read_patterns(LIST.read_text(encoding="utf-8")))
    for reason in found:
        reporter.write_line(
            f"\nskipped for a reason that is not in tests/skip_reasons.txt: {reason}", red=True
        )
    if found and os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
