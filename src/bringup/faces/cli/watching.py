"""What `bringup watch` says and asks."""

from __future__ import annotations

from bringup.actions.log import user_session, watch, watch_hooks
from bringup.actions.log.timeline import this_machine
from bringup.errors import Failure
from bringup.faces.cli.journal_warning import say_journal_trouble
from bringup.faces.render.console import Console, Style, Styled
from bringup.machine.folders import our_folders


def look(console: Console, *, after_upgrade: bool, notify: bool) -> int:
    """One look; exit code 1 where there is something to tell, or nothing of it could be written down."""
    found = watch.watch_once(this_machine(), our_folders(), after_upgrade=after_upgrade)
    if found.alarm:
        console.answer(Styled(found.alarm, Style.YELLOW))
        if notify or after_upgrade:
            user_session.notify(found.alarm)
    elif not (after_upgrade or notify or found.is_lost):
        console.line(f"{found.n_kept} new things from the system's own logs were written down.")
    say_journal_trouble(console, found.trouble)
    return 1 if found.alarm or found.is_lost else 0


def install(console: Console, *, is_sure: bool) -> int:
    """Show every file, ask, write."""
    has_apt, has_systemd = watch_hooks.offered()
    hooks = watch_hooks.plan_hooks(has_apt=has_apt, has_systemd=has_systemd)
    _show(console, hooks)
    own = [hook for hook in hooks.files if not hook.needs_root]
    if not hooks.files:
        raise Failure("this system offers no place for a hook", reference="no-hook")
    if not is_sure and not console.agrees(f"Write {len(own)} files of your own?", done="written"):
        return 1
    left, failed = watch_hooks.install(hooks)
    for hook in left:
        console.line("Only root can write the hook of apt. To have it, type:")
        console.answer(f"bringup watch --print-hook | sudo tee {hook.path}")
    for words in failed:
        console.line(Styled(f"could not be run, the units start with the next login: {words}", Style.YELLOW))
    console.line("Installed. bringup watch --remove takes it away.")
    return 0


def _show(console: Console, hooks: watch_hooks.Hooks) -> None:
    for hook in hooks.files:
        console.line(Styled(hook.path, Style.BOLD), " (only root can write it)" if hook.needs_root else "")
        for line in hook.text.splitlines():
            console.line(f"  {line}")
    for link, target in hooks.links:
        console.line(Styled(link, Style.BOLD), f" -> {target}")
    for words in hooks.commands:
        console.line(Styled(f"$ {' '.join(words)}", Style.CYAN))
    for reason in hooks.left_out:
        console.line(Styled(reason, Style.DIM))


def print_hook(console: Console) -> int:
    """The file for apt, to be written by root."""
    hooks = watch_hooks.plan_hooks(has_apt=True, has_systemd=False)
    texts = [hook.text for hook in hooks.files if hook.needs_root]
    if not texts:
        raise Failure(hooks.left_out[-1], reference="no-hook")
    console.answer_piece(texts[0])
    return 0


def remove(console: Console) -> int:
    """Take all of it away."""
    if not watch_hooks.is_installed():
        console.line("No hook of bringup is installed here; nothing was changed.")
        return 0
    left, failed = watch_hooks.remove()
    for path in left:
        console.line("Only root can remove the hook of apt. Type:")
        console.answer(f"sudo rm {path}")
    for words in failed:
        console.line(Styled(f"could not be run: {words}", Style.DIM))
    console.line("Removed." if not left else "All but that is removed.")
    return 1 if left else 0
