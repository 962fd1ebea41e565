"""Which engines at hand are builds of llama.cpp that are known to be bad, with what that breaks and the cure.

It is no fault of the machine and changes no verdict: nobody's engine is taken away for it. The one table is
`engine/known_bad.toml`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.engine.known_bad import BadRange, what_is_bad
from bringup.reading import Known
from bringup.records import dataclass

if TYPE_CHECKING:
    from bringup.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class BadBuild:
    """One engine of which something is known to be wrong.

    Attributes:
        engine: its program, or what it is called where only its log was seen.
        number: of its llama.cpp build.
        wrong: what is, the one that was mended first at the front; at least one.
    """

    engine: str
    number: int
    wrong: tuple[BadRange, ...]

    @property
    def mended_in(self) -> int:
        """The first build that has all of it mended."""
        return max(one.before for one in self.wrong)

    def sentence(self) -> str:
        """What is wrong with it and what to do."""
        what = "; ".join(one.what for one in self.wrong)
        return (
            f"{self.engine} is build {self.number}, which is known to be bad: {what}. Build"
            f" {self.mended_in} and later have it mended: bringup setup --method source builds one."
        )


def bad_build(engine: str, number: int | None) -> BadBuild | None:
    """What is known of one engine; `None` where nothing is wrong with it or it says no number."""
    wrong = what_is_bad(f"b{number}") if number is not None else ()
    return BadBuild(engine, number, wrong) if number is not None and wrong else None


def bad_builds(stack: Stack) -> tuple[BadBuild, ...]:
    """Those among the engines of a machine, and the one whose log was pasted."""
    engines = stack.build.engines.value if isinstance(stack.build.engines, Known) else ()
    numbers = [(one.program, one.number.value) for one in engines if isinstance(one.number, Known)]
    log = stack.runtime.log
    if isinstance(log, Known):
        numbers += [("the engine of this log", number) for number in log.value.builds[-1:]]
    found = (bad_build(engine, number) for engine, number in dict.fromkeys(numbers))
    return tuple(one for one in found if one is not None)
