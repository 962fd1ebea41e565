"""Look and judge: a live machine, a mounted one, a recording, or pasted text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import Enum
from typing import TYPE_CHECKING, Final

from bringup.actions.diagnosis.known_bad import BadBuild, bad_builds
from bringup.actions.diagnosis.open_questions import find_open_questions
from bringup.actions.diagnosis.unseen import Unseen, find_unseen
from bringup.errors import CannotTell, Failure, WrongUse
from bringup.faults._catalogue import load_catalogue
from bringup.faults._diagnose import Diagnosis, diagnose
from bringup.faults._distributions import for_its_distribution
from bringup.faults._scene import Scene
from bringup.machine import files, paths
from bringup.machine.archive import PACKED_LIMIT_BYTES, unpack_recording
from bringup.machine.live import LiveMachine
from bringup.machine.protocol import Machine
from bringup.machine.recorded import RecordedMachine
from bringup.machine.rooted import RootedMachine
from bringup.machine.timed import TimedMachine
from bringup.machine.unpack import unpack
from bringup.records import dataclass
from bringup.stack.pasted import read_pasted
from bringup.stack.probe import Look, probe_stack
from bringup.stack.stack import Stack

if TYPE_CHECKING:
    from bringup.actions.diagnosis.recurrence import Recurrence

PASTE_LIMIT_BYTES: Final = 256 * 1024**2


class Verdict(Enum):
    """What came out; the value is the exit code."""

    HEALTHY = 0
    FAULTS = 1
    CANNOT_TELL = 3


@dataclass(frozen=True, slots=True)
class Examination:
    """What was seen and what it means.

    Attributes:
        stack: the facts.
        diagnosis: roots and followers.
        looks: how the look at each layer went; empty for pasted text.
        subject: what was examined, in words.
        open_questions: of pasted text in which no fault was found, what failed there without a reason.
        took_s: seconds by source (path or command), where they were measured.
        journal_trouble: why what was seen could not be written to the journal; empty where it was.
        histories: by a root fault's id, when it was here before; only of this machine.
        bad_builds: engines that are builds of llama.cpp known to be bad; they change no verdict.
    """

    stack: Stack
    diagnosis: Diagnosis
    looks: tuple[Look, ...]
    subject: str
    took_s: Mapping[str, float] = field(default_factory=dict)
    open_questions: tuple[Unseen, ...] = ()
    journal_trouble: str = ""
    histories: Mapping[str, Recurrence] = field(default_factory=dict)
    bad_builds: tuple[BadBuild, ...] = ()

    @property
    def could_not_tell(self) -> tuple[Look, ...]:
        """Layers whose look failed."""
        return tuple(look for look in self.looks if look.problem)

    @property
    def unseen(self) -> tuple[Unseen, ...]:
        """Single looks that failed and would have decided; of pasted text what it leaves open."""
        return find_unseen(self.stack) if self.looks else self.open_questions

    @property
    def verdict(self) -> Verdict:
        """Faults before anything; a failed look before health."""
        if self.diagnosis.findings:
            return Verdict.FAULTS
        is_blind = self.could_not_tell or self.unseen or self.diagnosis.crashed
        return Verdict.CANNOT_TELL if is_blind else Verdict.HEALTHY


def read_paste_file(name: str) -> str:
    """The text of a file with what somebody's program printed.

    Raises:
        WrongUse: there is no such file.
        CannotTell: it cannot be read, or is larger than 256 MiB.
    """
    with _cannot_tell():
        data = files.read_small(name, limit_bytes=PASTE_LIMIT_BYTES)
    if data is None:
        raise WrongUse(f"{name}: no such file", hint="Give a file, or - for standard input.")
    return decode_paste(data, name=name)


def decode_paste(data: bytes, *, name: str) -> str:
    """The text of a paste, also of a packed one (nvidia-bug-report.log.gz).

    Raises:
        CannotTell: it is damaged, or unpacks to more than 256 MiB.
        WrongUse: there is no text in it.
    """
    with _cannot_tell():
        text = unpack(data, limit_bytes=PASTE_LIMIT_BYTES, name=name).decode("utf-8", "replace")
    if not text.strip():
        raise WrongUse(f"{name}: empty", hint="Give what a program printed, the error and what is around it.")
    return text


def examine(machine: Machine, *, subject: str) -> Examination:
    """Look at every layer of a machine and judge what is seen; each look is timed."""
    timed = TimedMachine(machine)
    looked = probe_stack(timed, meanwhile=load_catalogue)
    scene = Scene(looked.stack, looked.lines)
    found = for_its_distribution(diagnose(scene, load_catalogue()), looked.stack)
    bad = bad_builds(looked.stack)
    return Examination(looked.stack, found, looked.looks, subject, dict(timed.took_s), bad_builds=bad)


def examine_text(text: str, *, subject: str) -> Examination:
    """Judge what programs printed; facts are recognised in the text, cures told in its program's words."""
    from bringup.faults._container_engines import for_its_container_engine
    from bringup.faults._dialects import in_its_words

    stack, lines = read_pasted(text, source=subject)
    found = for_its_distribution(diagnose(Scene(stack, lines), load_catalogue()), stack)
    found = in_its_words(for_its_container_engine(found, lines), lines)
    open_questions = () if found.findings else find_open_questions(lines)
    bad = bad_builds(stack)
    return Examination(stack, found, (), subject, open_questions=open_questions, bad_builds=bad)


def choose_machine(*, root: str | None, recording: str | None) -> tuple[Machine, str]:
    """The machine that is meant, and what to call it.

    Raises:
        WrongUse: both are given, or the folder is not there.
        CannotTell: the recording cannot be read: damaged, beyond a cap, or made to lead astray.
    """
    if root is not None and recording is not None:
        raise WrongUse("--root and --from name two different machines", hint="Give one of them.")
    if root is not None:
        return RootedMachine(_folder(root, "--root")), f"the system below {root}"
    if recording is not None:
        return _open_recording(recording), f"the recording {paths.basename(recording.rstrip('/'))}"
    return LiveMachine(), "this machine"


def _open_recording(path: str) -> Machine:
    """A recorded folder, or a snapshot, which is read in memory and never extracted."""
    with _cannot_tell():
        if files.is_folder(path):
            return RecordedMachine(path)
        data = files.read_small(path, limit_bytes=PACKED_LIMIT_BYTES)
    if data is None:
        raise WrongUse(
            f"--from {path}: no such file or folder",
            hint="Give a snapshot, or the folder of a recorded machine.",
        )
    with _cannot_tell():
        return RecordedMachine.from_recording(unpack_recording(data, name=paths.basename(path)))


@contextlib.contextmanager
def _cannot_tell() -> Iterator[None]:
    """What cannot be read is judged neither healthy nor faulty: exit code 3, in the words of the failure."""
    try:
        yield
    except Failure as problem:
        raise CannotTell(
            problem.message, context=problem.context, hint=problem.hint, reference=problem.reference
        ) from problem


def _folder(path: str, option: str) -> str:
    if not files.is_folder(path):
        raise WrongUse(
            f"{option} {path}: no such folder", hint="Give the folder that holds the system's files."
        )
    return path
