"""Where things live: the XDG base directories, plus where other tools keep models.

Everything that `bringup` writes lies below `configuration`, `cache` or `state`.
"""

from __future__ import annotations

import os

from bringup.errors import FileTrouble
from bringup.machine import rights
from bringup.records import dataclass

_APP = "bringup"


@dataclass(frozen=True, slots=True)
class Folders:
    """Our own folders (absolute paths; they may not exist yet).

    `configuration` holds `config.toml`; `cache` what can be fetched or computed again (models, header
    index); `state` what cannot (key, logs, records of running engines).
    """

    configuration: str
    cache: str
    state: str

    @property
    def models(self) -> str:
        """Models pulled by us."""
        return os.path.join(self.cache, "models")

    @property
    def header_index(self) -> str:
        """Headers already read, by file identity."""
        return os.path.join(self.cache, "headers")

    @property
    def dry_runs(self) -> str:
        """What engines said of plans, by file and build."""
        return os.path.join(self.cache, "dry-runs")

    @property
    def main_memory_file(self) -> str:
        """How fast main memory is, as measured or by its modules' data."""
        return os.path.join(self.cache, "main-memory.json")

    @property
    def logs(self) -> str:
        """Engine logs."""
        return os.path.join(self.state, "logs")

    @property
    def engines(self) -> str:
        """Records of running engines."""
        return os.path.join(self.state, "engines")

    @property
    def builds(self) -> str:
        """Builds of llama.cpp that are ours, a folder each."""
        return os.path.join(self.state, "builds")

    @property
    def build_work(self) -> str:
        """Where engines are built before they are proved, a folder each."""
        return os.path.join(self.state, "build-work")

    @property
    def key_file(self) -> str:
        """The API key of this user (0600)."""
        return os.path.join(self.state, "key")

    @property
    def fixes_file(self) -> str:
        """What `bringup fix` did, a line an event."""
        return os.path.join(self.state, "fixes.jsonl")

    @property
    def configuration_file(self) -> str:
        """User's settings, TOML."""
        return os.path.join(self.configuration, "config.toml")

    @property
    def history_file(self) -> str:
        """Lines typed in the chat."""
        return os.path.join(self.state, "chat-history")

    @property
    def journal_file(self) -> str:
        """The journal (0600)."""
        return os.path.join(self.state, "journal.sqlite")

    @property
    def journal_waiting(self) -> str:
        """Entries that could not be stored at once; the next command takes them up."""
        return os.path.join(self.state, "journal-waiting")

    @property
    def journal_salt(self) -> str:
        """The key of the hashes by which a change is seen before redaction (0600); it never leaves."""
        return os.path.join(self.state, "journal-salt")

    @property
    def chats(self) -> str:
        """Saved conversations."""
        return os.path.join(self.state, "chats")


def our_folders() -> Folders:
    """Folders of this user, from the XDG variables or their defaults.

    As root one that somebody else could have filled (`sudo` with the caller's `HOME`) is left alone, and
    the one in root's own home taken.

    Raises:
        FileTrouble: nothing says where this user's home is.
    """
    return Folders(
        configuration=_safe(_base("XDG_CONFIG_HOME", ".config"), ".config"),
        cache=_safe(_base("XDG_CACHE_HOME", ".cache"), ".cache"),
        state=_safe(_base("XDG_STATE_HOME", ".local/state"), ".local/state"),
    )


def _base(variable_name: str, default: str) -> str:
    """Our folder in one of the XDG base directories."""
    given = os.environ.get(variable_name, "").strip()
    if os.path.isabs(given):  # the specification wants others ignored
        return os.path.join(given, _APP)
    if home() == "~":  # a container's user without a name, started without HOME
        raise FileTrouble(
            f"this user (id {os.getuid()}) has no home folder: HOME is not set, and no account is known",
            hint="Set HOME to a folder that this user may write, such as HOME=/tmp/me.",
            reference="no-home",
        )
    return os.path.join(home(), default, _APP)


def _safe(folder: str, default: str) -> str:
    if not rights.is_root() or rights.is_roots_own(folder):
        return folder
    return os.path.join(rights.own_home(), default, _APP)


def home() -> str:
    """The user's home folder."""
    return os.path.expanduser("~")


def variable(name: str) -> str | None:
    """An environment variable of this process, `None` when unset or empty."""
    return os.environ.get(name) or None


def all_variables() -> dict[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)


def set_variable(name: str, value: str) -> None:
    """Set an environment variable of this process, for libraries that read no other setting."""
    os.environ[name] = value
