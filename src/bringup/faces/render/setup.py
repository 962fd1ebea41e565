"""What setup says: the choice, the progress, the proof, the builds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bringup.actions.setting_up.builds import OurBuilds
from bringup.actions.setting_up.request import SetupPlan, SetupResult
from bringup.engine.compiling import BuildProgress
from bringup.engine.proof import Proof
from bringup.faces.render.console import Style, Styled
from bringup.faces.render.format import Column, format_duration, format_table, format_token_rate

SCHEMA: Final = 1
_COLUMNS: Final = (
    Column(""),
    Column("NAME"),
    Column("VERSION"),
    Column("BACKEND"),
    Column("DEVICES", elastic=True),
    Column("FROM", elastic=True),
)
_BAR_COLUMNS: Final = 24

Line = tuple[str | Styled, ...]


def plan_lines(plan: SetupPlan) -> Iterator[Line]:
    """What will be had and why; what was not taken; what stands in the way."""
    choice = plan.choice
    yield (Styled(f"{choice.backend.value}: {choice.method.value}", Style.BOLD),)
    for reason in choice.why:
        yield (f"  {reason}" if reason.startswith("but ") else f"  because {reason}",)
    for passed in choice.passed:
        yield (Styled(f"  not {passed.what}: {passed.why}", Style.DIM),)
    if plan.job is not None:
        yield (f"  build {plan.name}: {plan.job.n_jobs} compilers at once, in {plan.job.folder}",)
    for one in plan.missing:
        yield (Styled(f"  missing: {one.what} [{one.fault}]", Style.YELLOW),)
        words = " ".join(one.command) or one.hint
        if words:
            yield (f"    {words}",)


def command_lines(plan: SetupPlan) -> Iterator[str]:
    """The commands of a build as they would run."""
    yield from (" ".join(argv) for argv in plan.commands)


def progress_line(progress: BuildProgress) -> str:
    """`building [######------] 123 of 214, 2 min left`."""
    step = progress.step
    filled = _BAR_COLUMNS * step.done // step.total
    bar = "#" * filled + "-" * (_BAR_COLUMNS - filled)
    left = "" if progress.left_s is None else f", about {format_duration(progress.left_s)} left"
    return f"building [{bar}] {step.done} of {step.total}{left}"


def proof_lines(proof: Proof) -> Iterator[str]:
    """What was seen of the engine."""
    version = f"version {proof.version}, " if proof.version else ""
    yield f"proved: {version}the small model loaded in {format_duration(proof.ready_s)}"
    for device in proof.devices:
        yield f"  device {device}"
    if proof.layers:
        yield f"  {proof.layers_on_gpu} of {proof.layers} layers on the card"
    rate = "" if proof.tokens_per_s is None else f" at {format_token_rate(proof.tokens_per_s)}"
    yield f"  the known question was answered{rate}: {proof.answer!r}"
    yield f"  {len(proof.survived)} requests that have ended engines: survived or refused"
    for name in proof.refused:
        yield f"  {name}: kept out by the key, not tried with it: it was seen to end an engine"


def taken_lines(result: SetupResult) -> Iterator[str]:
    """What a ready-made engine is and where it is from."""
    if result.record is not None and result.record.method in ("wheel", "release"):
        yield f"  taken: {result.record.source}"


def result_line(result: SetupResult) -> str:
    """What is in use now."""
    if result.record is None:
        return "The embedded engine is good as it is; nothing was installed."
    return f"{result.record.name} is the current engine now. bringup setup --list shows all."


def build_lines(ours: OurBuilds, *, width_columns: int | None) -> tuple[str, ...]:
    """The builds as a table, the current one with a star; below it what is wrong with some."""
    wrong = tuple(_wrong_lines(ours))
    if not ours.builds:
        return ("No build of ours is here. bringup setup gets one.", *wrong)
    rows = [
        (
            "*" if one.name == ours.current else "",
            one.name,
            one.version,
            one.backend,
            ", ".join(one.devices) or "CPU",
            f"{one.method}: {one.source}",
        )
        for one in ours.builds
    ]
    return (*format_table(_COLUMNS, rows, width_columns=width_columns), *wrong)


def _wrong_lines(ours: OurBuilds) -> Iterator[str]:
    for name, bad in ours.known_bad:
        yield f"known to be bad: {name}: {bad.what}; mended in b{bad.before} ({bad.source})"
    for other in ours.unproved:
        yield f"not to be used: {other.name}: {other.why} ({other.folder})"


def builds_json(ours: OurBuilds) -> dict[str, Any]:
    """The same as data; docs/schema/setup.json describes it."""
    return {
        "schema": SCHEMA,
        "current": ours.current,
        "builds": [
            {
                "name": one.name,
                "version": one.version,
                "backend": one.backend,
                "cuda_archs": list(one.cuda_archs),
                "method": one.method,
                "source": one.source,
                "proved_unix_s": one.made_s,
                "devices": list(one.devices),
                "layers_on_gpu": one.layers_on_gpu,
                "layers": one.layers,
                "tokens_per_s": one.tokens_per_s,
                "known_bad": [
                    {"before": bad.before, "what": bad.what, "source": bad.source}
                    for name, bad in ours.known_bad
                    if name == one.name
                ],
            }
            for one in ours.builds
        ],
        "unproved": [{"name": one.name, "why": one.why, "folder": one.folder} for one in ours.unproved],
    }


def plan_json(plan: SetupPlan) -> dict[str, Any]:
    """The choice as data."""
    choice = plan.choice
    return {
        "schema": SCHEMA,
        "method": choice.method.value,
        "backend": choice.backend.value,
        "cuda_archs": list(choice.cuda_archs),
        "why": list(choice.why),
        "passed": [{"what": one.what, "why": one.why} for one in choice.passed],
        "engine": choice.engine.program if choice.engine else None,
        "name": plan.name or None,
        "missing": [
            {"what": one.what, "fault": one.fault, "command": list(one.command), "hint": one.hint}
            for one in plan.missing
        ],
        "commands": [list(argv) for argv in plan.commands],
    }
