"""From a scene to roots and followers."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from bringup.errors import CannotTell
from bringup.faults._fault import Certainty, Evidence, Fault, Layer, Safety, Sign, Step
from bringup.faults._scene import Scene
from bringup.patterns import regex
from bringup.records import dataclass, replace
from bringup.stack.lines import Line, Lines
from bringup.stack.told import TextTold, Told, read_told

_POST_LINES: Final = 60
"""A post in which a person tells a trouble has at most so many lines; more is a log."""


_NO_COMPLAINT: Final = regex(
    r"\bnot want\b|n't want\b|\bfeature request|\brelease notes|\bchangelog|\bfix(?:es|ed)? (?:the )?gibber"
    r"|\b(?:is|are) gone\b|\bno (?:more )?gibber|\bworks? (?:now|well|fine|great)\b|\bas expected\b|"
    r"\bon purpose\b"
    r"|\bbecause (?:the|my) gpu\b|\bcan (?:also )?run\b|\b(?:how (?:do i|can i|to)|"
    r"force) (?:\w{1,8} ){0,4}cpu\b",
    re.IGNORECASE,
)
"""What is wished, mended, meant or only explained in a line: its words name no trouble."""


class Role(Enum):
    """A root has no other found fault that explains it; a follower has."""

    ROOT = "root"
    FOLLOWS = "follows"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that is there: its evidence, its role, and the found faults that explain it."""

    fault: Fault
    evidence: Evidence
    role: Role
    explained_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CrashedRule:
    """A rule that failed with an exception of ours: it says nothing, the others go on."""

    fault_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Findings, roots first, the likeliest root at the top."""

    findings: tuple[Finding, ...]
    crashed: tuple[CrashedRule, ...] = ()

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The root findings in order."""
        return tuple(finding for finding in self.findings if finding.role is Role.ROOT)


def diagnose(scene: Scene, catalogue: tuple[Fault, ...]) -> Diagnosis:
    """Judge a scene by every rule.

    A rule that raises is reported in `crashed` and does not stop the others: this is one of the two
    places where every exception is caught.
    """
    found: dict[str, tuple[Fault, Evidence]] = {}
    crashed = []
    for fault in catalogue:
        try:
            evidence = judge(fault, scene)
        except Exception as problem:  # noqa: BLE001 - the guard around rules
            crashed.append(CrashedRule(fault.id, f"{type(problem).__name__}: {problem}"))
            continue
        if evidence is not None and not _is_history(fault, evidence, scene):
            found[fault.id] = (fault, evidence)
    found |= _heard(scene, catalogue, found)
    if not found:
        found = _weakly(scene, catalogue)
    explainers = _explainers(found, catalogue)
    findings = [
        Finding(fault, evidence, Role.FOLLOWS if explainers[key] else Role.ROOT, explainers[key])
        for key, (fault, evidence) in found.items()
    ]
    return Diagnosis(tuple(sorted(findings, key=_rank)), tuple(crashed))


def judge(fault: Fault, scene: Scene) -> Evidence | None:
    """Evidence of one fault: its check, then its signs.

    A reading that could not be looked at makes the check silent (`CannotTell`), never positive.
    """
    if fault.check is not None:
        try:
            evidence = fault.check(scene)
        except CannotTell:
            evidence = None
        if evidence is not None:
            return evidence
    evidence = match_signs(tuple(sign for sign in fault.signs if not sign.is_weak), scene)
    if evidence is None or evidence.certainty is Certainty.SURE:
        return evidence
    return replace(evidence, decides=evidence.decides or first_look(fault.steps))


def _weakly(scene: Scene, catalogue: tuple[Fault, ...]) -> dict[str, tuple[Fault, Evidence]]:
    """What the weak signs say of a short text; asked only where nothing else tells of a fault."""
    found: dict[str, tuple[Fault, Evidence]] = {}
    if len(scene.lines.lines) > _POST_LINES:
        return found
    complaints = Lines(tuple(line for line in scene.lines.lines if not _NO_COMPLAINT.search(line.text)))
    for fault in catalogue:
        evidence = match_signs(
            tuple(sign for sign in fault.signs if sign.is_weak), Scene(scene.stack, complaints)
        )
        if evidence is not None:
            decides = first_look(fault.steps)
            found[fault.id] = (fault, replace(evidence, expected="no such words", decides=decides))
    return found


def _is_history(fault: Fault, evidence: Evidence, scene: Scene) -> bool:
    """Whether the text shows after the evidence that the fault is over, and nothing of it after that."""
    from bringup.stack.pasted import recognise

    where = re.fullmatch(r"(.*), line (\d+)", evidence.sources[-1]) if evidence.sources else None
    if where is None or not fault.over:
        return False
    source, number = where[1], int(where[2])
    ends = [hit[0] for sign in fault.over if (hit := scene.lines.last(sign.pattern, anchor=sign.anchor))]
    last = max((line.number for line in ends if line.source == source), default=0)
    if last <= number:
        return False
    rest = Lines(tuple(line for line in scene.lines.lines if line.number > last))
    return judge(fault, Scene(recognise(rest), rest)) is None


def first_look(steps: tuple[Step, ...]) -> str:
    """The first command among steps that only looks and has no slot to fill: it would decide."""
    for step in steps:
        words = [word for word in step.command if isinstance(word, str)]
        if step.safety is Safety.LOOK and words and len(words) == len(step.command):
            return " ".join(words)
    return ""


def match_signs(signs: tuple[Sign, ...], scene: Scene) -> Evidence | None:
    """The strongest sign that stands in the lines, the earliest of equals."""
    best: Evidence | None = None
    for sign in signs:
        if best is not None and sign.certainty <= best.certainty:
            continue
        if not scene.lines.has(sign.anchor) or any(scene.lines.has(anchor) for anchor in sign.unless):
            continue
        if not all(scene.lines.has(anchor) for anchor in sign.needs):
            continue
        line = scene.lines.first_like(sign.pattern, anchor=sign.anchor)
        if line is not None:
            saw = re.sub(r"\s+", " ", line.text).strip()[:300]
            where = f"{line.source}, line {line.number}"
            best = Evidence(saw=saw, expected="no such line", sources=(where,), certainty=sign.certainty)
    return best


def _heard(
    scene: Scene, catalogue: tuple[Fault, ...], found: dict[str, tuple[Fault, Evidence]]
) -> dict[str, tuple[Fault, Evidence]]:
    """Faults that somebody's own words tell of, where programs' lines tell at most of what follows."""
    if any(evidence.certainty is Certainty.SURE for _, evidence in found.values()):
        return {}
    lowest = min((fault.layer for fault, _ in found.values()), default=Layer.RUNTIME + 1)
    graph = {fault.id: fault.explains for fault in catalogue}
    heard = {}
    for fault in catalogue:
        if not fault.stories or fault.layer >= lowest or not found.keys() <= _reach(fault.id, graph):
            continue
        evidence = _hear(fault, scene)
        if evidence is not None:
            heard[fault.id] = (fault, evidence)
    return heard


def _hear(fault: Fault, scene: Scene) -> Evidence | None:
    """The strongest story of a fault that the text tells."""
    told = read_told(scene.lines)
    for story in sorted(fault.stories, key=lambda one: -one.strength):
        lines = _all_told(story.told, told)
        if lines and not any(map(told.line, story.unless)):
            words = re.sub(r"\s+", " ", lines[-1].text).strip()[:160]
            return Evidence(
                saw=f"told: {'; '.join(one.value for one in story.told)} ({words})",
                expected="no such words; what a program printed would say more",
                sources=(f"{lines[-1].source}, line {lines[-1].number}",),
                certainty=Certainty.LIKELY,
                decides=story.decides or first_look(fault.steps),
                strength=story.strength,
            )
    return None


def _all_told(wanted: tuple[Told, ...], told: TextTold) -> list[Line]:
    """The lines that tell all of it; none where one thing is missing, and what follows is not searched."""
    lines: list[Line] = []
    for one in wanted:
        line = told.line(one)
        if line is None:
            return []
        lines.append(line)
    return lines


def _explainers(
    found: dict[str, tuple[Fault, Evidence]], catalogue: tuple[Fault, ...]
) -> dict[str, tuple[str, ...]]:
    """For each found fault the found faults that explain it, directly or through others."""
    graph = {fault.id: fault.explains for fault in catalogue}
    result: dict[str, list[str]] = {key: [] for key in found}
    for key in found:
        for follower in _reach(key, graph):
            if follower in result and follower != key:
                result[follower].append(key)
    return {key: tuple(sorted(names)) for key, names in result.items()}


def _reach(start: str, graph: dict[str, tuple[str, ...]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for follower in graph.get(waiting.pop(), ()):
            if follower not in seen:
                seen.add(follower)
                waiting.append(follower)
    return seen


def _rank(finding: Finding) -> tuple[int, int, int, int, str]:
    evidence = finding.evidence
    return (
        0 if finding.role is Role.ROOT else 1,
        -evidence.certainty,
        -evidence.strength,
        finding.fault.layer,
        finding.fault.id,
    )
