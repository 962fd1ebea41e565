"""Fetch a model: what `bringup pull` does, and `run` and `serve` after saying so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bringup.errors import BringupError, ModelFileError, WrongUse
from bringup.machine import clock
from bringup.machine.folders import Folders, our_folders
from bringup.records import dataclass
from bringup.store import resolve
from bringup.store.header import load_model
from bringup.store.local import LocalModel, check_again, damaged_files
from bringup.store.names import parse_name

if TYPE_CHECKING:
    from bringup.store.prepare import PullPlan
    from bringup.store.progress import OnProgress


@dataclass(frozen=True, slots=True)
class PullResult:
    """A model that is here now. `plan` is `None` when it was here before and nothing was fetched."""

    model: LocalModel
    plan: PullPlan | None
    duration_s: float


def find_model(text: str, folders: Folders | None = None) -> LocalModel | None:
    """The model that a typed name means, if it is on this disk. No network.

    Raises:
        WrongUse: not a name of any kind, or one that nobody knows.
    """
    return resolve.find_local(parse_name(text), folders or our_folders())


def pull_model(
    text: str,
    *,
    on_plan: Callable[[PullPlan], None],
    on_progress: OnProgress,
    may_send_token: Callable[[BringupError], bool],
    on_warning: Callable[[str], None] | None = None,
    checks_changed: bool = False,
) -> PullResult:
    """Have the model that a typed name means.

    Args:
        text: as typed.
        on_plan: hears what will be fetched, before the first byte.
        on_progress: hears each file's transfer.
        may_send_token: asked once, after the hub refused, where the user has a token: may it be sent?
        on_warning: hears that the pull could not be written to the journal, or why a model is fetched anew.
        checks_changed: read a model that was written to since it came whole, and refuse other bytes.

    Raises:
        WrongUse, DownloadError, FileTrouble, ModelFileError.
    """
    folders = our_folders()
    name = parse_name(text)
    started_s = clock.monotonic_s()
    local = resolve.find_here(name, folders)
    if local is not None:
        if checks_changed and local.is_changed:
            local = check_again(local)
        return PullResult(local, None, clock.monotonic_s() - started_s)
    # Most runs find their model here: they need nothing of what fetches one.
    from bringup.store import hub, pull, token

    def go(secret: str | None) -> PullResult:
        plan = pull.prepare(name, folders=folders, token=secret)
        spoilt = damaged_files(folders)
        if any(one.final_path in spoilt for one, _ in plan.files):
            _tell(
                "the file that is here is not of the size that it came with; it is fetched anew", on_warning
            )
        on_plan(plan)
        model = pull.fetch(plan, on_progress=on_progress, folders=folders, token=secret)
        _check_header(model)
        result = PullResult(model, plan, clock.monotonic_s() - started_s)
        _tell(record_pull(result), on_warning)
        return result

    try:
        return go(None)
    except hub.TokenNeeded as refused:
        secret = token.find_user_token()
        if secret is None or not may_send_token(refused):
            raise
        return go(secret)
    except WrongUse:
        raise  # nothing was to be pulled: what was typed names nothing
    except BringupError as problem:
        _tell(record_failed_pull(text, problem), on_warning)
        raise


def record_pull(result: PullResult) -> str:
    """Write a finished pull to the journal; a warning where that could not be done."""
    from bringup.actions.journal.writing import Note, record
    from bringup.journal.entry import Kind

    model = result.model
    verified = "verified" if model.is_verified else "not verified: no hash is published for it"
    data = {
        "phase": "done",
        "model": model.name,
        "repository": model.repository or "",
        "quant": model.quant,
        "size_bytes": model.size_bytes,
        "is_verified": model.is_verified,
        "duration_s": round(result.duration_s, 3),
    }
    text = f"{model.name}: {model.size_bytes:,} bytes in {result.duration_s:,.0f} s, {verified}"
    return record(Note(Kind.PULL, model.name, text, data))


def record_failed_pull(text: str, problem: BringupError) -> str:
    """Write a failed pull to the journal; a warning where that could not be done.

    `text` is what was typed; of a web address all but the query is kept, in which secrets live.
    """
    from bringup.actions.journal.writing import Note, record
    from bringup.journal.entry import Kind
    from bringup.store.web import without_query

    name = without_query(text)
    data = {"phase": "failed", "model": name, "reference": problem.reference, "how": problem.message}
    return record(Note(Kind.PULL, name, f"{name} could not be pulled: {problem.message}", data))


def _tell(warning: str, on_warning: Callable[[str], None] | None) -> None:
    if warning and on_warning is not None:
        on_warning(warning)


def _check_header(model: LocalModel) -> None:
    """Say at once, and not when an engine starts, that what was published is no sound model."""
    try:
        load_model(model.paths)
    except ModelFileError as problem:
        known = "its bytes are the published ones" if model.is_verified else "no hash is published for it"
        problem.context += (f"the file came whole and is kept: {known}",)
        raise
