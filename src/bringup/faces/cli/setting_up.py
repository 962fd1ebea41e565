"""What `bringup setup` does: choose and build, or list, use and remove builds."""

from __future__ import annotations

from bringup.actions.configuration import check_index
from bringup.actions.setting_up.builds import our_builds, remove_build, use_build
from bringup.actions.setting_up.choice import Method, SetupWishes
from bringup.actions.setting_up.request import SetupPlan, SetupRequest
from bringup.actions.setting_up.setup import plan_setup, run_setup
from bringup.actions.setting_up.source import SourceWishes
from bringup.actions.surroundings import look_around
from bringup.engine.compiling import BuildProgress
from bringup.engine.source_build import Backend
from bringup.errors import WrongUse
from bringup.faces.cli.journal_warning import say_journal_trouble
from bringup.faces.cli.starting import obtain
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.pull import progress_line as transfer_line
from bringup.faces.render.setup import (
    build_lines,
    builds_json,
    command_lines,
    plan_json,
    plan_lines,
    progress_line,
    proof_lines,
    result_line,
    taken_lines,
)
from bringup.records import dataclass
from bringup.store.progress import TransferProgress
from bringup.units import parse_whole


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """The options of the command, as typed."""

    backend: str | None
    method: str
    cuda_arch: tuple[str, ...]
    version: str | None
    source: str | None
    index: str | None
    jobs: int | None
    proof_model: str
    dry_run: bool
    lists: bool
    use: str | None
    remove: str | None
    as_json: bool

    def request(self) -> SetupRequest:
        """What is wanted."""
        wishes = SetupWishes(
            backend=Backend(self.backend) if self.backend else None,
            method=None if self.method == "auto" else Method(self.method),
            cuda_archs=tuple(_arch(text) for text in self.cuda_arch),
            index=None if self.index is None else _index(self.index),
        )
        return SetupRequest(wishes, SourceWishes(self.version, self.source), self.jobs)


def _arch(text: str) -> str:
    """`8.6`, `86` and `sm_86` are one."""
    digits = text.lower().removeprefix("sm_").replace(".", "")
    if not 20 <= (parse_whole(digits) or 0) <= 999:
        raise WrongUse(f"--cuda-arch {text}: no compute capability", hint="For example 8.6 or 12.0.")
    return digits


def _index(text: str) -> str:
    try:
        return check_index(text)
    except ValueError as problem:
        raise WrongUse(f"--index {text[:120]}: expected {problem}") from problem


class _Watcher:
    """Shows a setup on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def planned(self, plan: SetupPlan) -> None:
        """What will be done."""
        for line in plan_lines(plan):
            self._console.line(*line)

    def step(self, text: str) -> None:
        """What is being done now."""
        self._console.status(text)

    def building(self, progress: BuildProgress) -> None:
        """A moment of the compilation."""
        self._console.status(progress_line(progress))

    def fetching(self, progress: TransferProgress) -> None:
        """A moment of a download."""
        self._console.status(transfer_line(progress, self._console.note_terminal.width_columns))

    def warning(self, why: str) -> None:
        """What was done could not be written to the journal."""
        say_journal_trouble(self._console, why)


def set_up(console: Console, options: SetupOptions) -> int:
    """Do what was asked; the exit code."""
    around = look_around()
    if sum((options.lists, options.use is not None, options.remove is not None, options.dry_run)) > 1:
        raise WrongUse("--list, --use, --remove and --dry-run exclude each other")
    if options.lists:
        ours = our_builds(around.folders)
        if options.as_json:
            console.answer_json(builds_json(ours))
        else:
            terminal = console.answer_terminal
            width = terminal.width_columns if terminal.is_terminal else None
            for line in build_lines(ours, width_columns=width):
                console.answer(line)
        return 0
    if options.use is not None:
        used = use_build(around.folders, options.use)
        say_journal_trouble(console, used.warning)
        console.line(f"{used.name} is the current engine now.")
        return 0
    if options.remove is not None:
        return _remove(console, options.remove)
    if options.dry_run:
        return _show_plan(console, options)
    return _carry_out(console, options)


def _remove(console: Console, name: str) -> int:
    removed = remove_build(look_around().folders, name)
    say_journal_trouble(console, removed.warning)
    console.line(f"{name} is removed.")
    if removed.was_current:
        console.line(Styled("It was the current engine: none of ours is in use now.", Style.YELLOW))
    return 0


def _show_plan(console: Console, options: SetupOptions) -> int:
    console.status("looking at the machine")
    plan = plan_setup(options.request(), look_around())
    if options.as_json:
        console.answer_json(plan_json(plan))
    else:
        for line in plan_lines(plan):
            console.answer(*line)
        for command in command_lines(plan):
            console.answer(command)
    return 1 if plan.missing else 0


def _carry_out(console: Console, options: SetupOptions) -> int:
    request = options.request()
    model = obtain(console, options.proof_model)
    try:
        result = run_setup(request, look_around(), _Watcher(console), model_path=model.paths[0])
    except KeyboardInterrupt:
        console.line("Stopped. What was built stays; bringup setup goes on where it stopped.")
        raise
    for text in (*proof_lines(result.proof), *taken_lines(result)):
        console.line(text)
    console.line(Styled(result_line(result), Style.GREEN))
    if options.as_json:
        console.answer_json(plan_json(result.plan))
    return 0
