"""What a person sees between the command and the ready engine: the model, the plan, the loading."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bringup.actions.models.names import short_name
from bringup.actions.models.pull import pull_model
from bringup.actions.running.preparation import EngineWishes, Preparation
from bringup.actions.running.session import EngineSession
from bringup.actions.surroundings import Surroundings
from bringup.faces.cli.pulling import PullWatcher, token_question
from bringup.faces.render.console import Console, Style, Styled
from bringup.faces.render.format import format_bytes, format_duration
from bringup.faces.render.starting import dropped_line, model_line, moved_line, running_bytes
from bringup.records import replace
from bringup.store.local import LocalModel

if TYPE_CHECKING:
    from bringup.engine.answers import EngineInfo
    from bringup.engine.loading import LoadProgress
    from bringup.store.prepare import PullPlan


def obtain(console: Console, name: str, *, around: Surroundings | None = None) -> LocalModel:
    """The model that a typed name means: used where it lies, or fetched after saying what and from where.

    A process that waits for it does so for moments only, not for a download.

    Raises:
        BringupError: no such name, or it cannot be fetched.
    """
    watcher = PullWatcher(console)

    def tell_plan(plan: PullPlan) -> None:
        if around is not None:
            around.wait_no_more()
        watcher.plan(plan)

    model = pull_model(
        name,
        on_plan=tell_plan,
        on_progress=watcher.progress,
        may_send_token=lambda refused: console.confirm(token_question(refused)),
        on_warning=watcher.warning,
    ).model
    if model.is_changed:
        watcher.warning(
            f"{model.name} was written to since it was fetched; bringup pull {model.name} checks its bytes"
        )
    return model


class StartWatcher:
    """Shows the start of an engine on stderr; all of it where `verbose`, else only what surprises."""

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool,
        tells_port: bool,
        explains: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """`verbose` for a person who watches; `tells_port` where it matters which port it is.

        With `explains` the plan that is followed is shown, once. `meanwhile` is done while an engine loads.
        """
        self._meanwhile = meanwhile
        self._explains = explains
        self._tells_port = tells_port
        self._console = console
        self._verbose = verbose
        self._said_dropped = False

    def prepared(self, preparation: Preparation) -> None:
        """Say what will run, and what of the environment it will not see."""
        environment = preparation.environment
        if environment.dropped and not self._said_dropped:
            self._said_dropped = True
            self._console.line(Styled(dropped_line(environment.dropped), Style.YELLOW))
        if self._tells_port and preparation.port.wanted is not None:
            self._console.note(moved_line(preparation.port, held=preparation.port_holder), Style.YELLOW)
        if self._explains:
            self._explains = False
            self._explain(preparation)
        elif self._verbose:
            for note in preparation.plan.notes:
                self._console.note(note, Style.YELLOW)

    def _explain(self, preparation: Preparation) -> None:
        from bringup.faces.render.plan import plan_lines

        width = self._console.note_terminal.width_columns
        for line in plan_lines(preparation.chosen.report(), width_columns=width, has_blocks=False):
            self._console.line(*line)
        self._console.line("")

    def launched(self) -> None:
        """It loads now: do what can be done meanwhile."""
        if self._meanwhile is not None:
            self._meanwhile()

    def loading(self, progress: LoadProgress) -> None:
        """Say how long it has been loading, and what of the model is in memory."""
        resident = format_bytes(progress.resident_bytes)
        self._console.status(f"loading, {format_duration(progress.elapsed_s)}, {resident} in memory")

    def ready(self, preparation: Preparation, info: EngineInfo) -> None:
        """Say in one line what runs."""
        self._console.end_status()
        if self._verbose:
            line = model_line(
                alias=info.alias or preparation.settings.alias,
                build=preparation.build,
                n_ctx=info.n_ctx,
                memory_bytes=running_bytes(preparation.plan),
                width_columns=self._console.note_terminal.width_columns,
            )
            self._console.line(Styled(line, Style.DIM))

    def fell_back(self) -> None:
        """Say that the change failed and what was there before comes back."""
        self._console.note("That did not work; starting again with what ran before.", Style.YELLOW)

    def not_recorded(self, why: str) -> None:
        """Warn that the journal lacks something of this run."""
        self._console.line(Styled(f"warning: {why}", Style.YELLOW))


def obtain_as(
    console: Console, name: str, wishes: EngineWishes, surroundings: Surroundings
) -> tuple[LocalModel, EngineWishes]:
    """As `obtain`; a model that was typed by its short name is called by it in the API too."""
    model = obtain(console, name, around=surroundings)
    if wishes.alias is None and (alias := short_name(name)) is not None:
        return model, replace(wishes, alias=alias)
    return model, wishes


def open_session(
    console: Console, name: str, wishes: EngineWishes, surroundings: Surroundings, watcher: StartWatcher
) -> EngineSession:
    """Get the model and start an engine on it.

    Raises:
        BringupError: no model, no engine, or they do not go together.
    """
    model, wishes = obtain_as(console, name, wishes, surroundings)
    return EngineSession(model, wishes, surroundings, watcher)
