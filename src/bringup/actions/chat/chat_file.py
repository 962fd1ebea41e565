"""Saved conversations: one JSON file each, with a schema number; a file from elsewhere is foreign input.

{"schema": 1, "kind": "bringup-chat", "model": "...", "system": "...",
 "turns": [{"role": "user", "text": "..."},
           {"role": "assistant", "text": "...", "reasoning": "...", "ending": "whole"}]}
"""

from __future__ import annotations

import json
from typing import Any, Final

from bringup.actions.chat.conversation import Conversation, Ending, Role, Turn
from bringup.errors import FileTrouble, WrongUse
from bringup.machine import clock, files, paths
from bringup.machine.folders import Folders
from bringup.reading import parse_json
from bringup.records import dataclass

SCHEMA: Final = 1
_KIND: Final = "bringup-chat"
_FILE_LIMIT_BYTES: Final = 32 * 1024**2
_TURN_LIMIT: Final = 20_000
_SUFFIX: Final = ".json"
_ROLES: Final = {role.value: role for role in (Role.USER, Role.ASSISTANT)}
_ENDINGS: Final = {ending.value: ending for ending in Ending}


@dataclass(frozen=True, slots=True)
class SavedChat:
    """A conversation as it lies in a file; `model` is the name it was held with, for information only."""

    conversation: Conversation
    model: str


def history_file(folders: Folders) -> str:
    """The file of the lines typed in chats; made before the first one, readable by its owner only."""
    files.create_once(folders.history_file, b"")
    return folders.history_file


def chat_path(folders: Folders, name: str) -> str:
    """The file meant by a typed name: a path when it has a slash or begins with `~`, else a saved chat.

    Raises:
        WrongUse: an empty name, or one that is no usable file name.
    """
    if not name:
        raise WrongUse("a name or a path is needed", hint="For example: /save holiday or /load ~/talk.json")
    if "/" in name or name.startswith("~"):
        return paths.absolute(name)
    return paths.join_foreign(folders.chats, name if name.endswith(_SUFFIX) else name + _SUFFIX)


def list_chats(folders: Folders) -> tuple[str, ...]:
    """Names of the saved conversations, sorted."""
    names = files.list_names(folders.chats)
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def unused_name(folders: Folders) -> str:
    """A name by the clock that no saved conversation has: `2026-11-24_06.41.03`."""
    stem = clock.local_time_text(clock.wall_s()).replace(" ", "_").replace(":", ".")
    taken = set(list_chats(folders))
    names = (stem, *(f"{stem} {number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def save_chat(path: str, chat: SavedChat) -> None:
    """Write a conversation; readable by its owner only.

    Raises:
        FileTrouble: no rights, disk full, or another kind of file is already there.
    """
    if files.exists(path):
        try:
            load_chat(path)
        except FileTrouble as problem:
            raise FileTrouble(
                f"{path} is there already and is not a saved chat: left as it is",
                hint="Give another name.",
                reference="chat-file",
            ) from problem
    files.write_atomic(path, encode_chat(chat))


def load_chat(path: str) -> SavedChat:
    """Read a conversation.

    Raises:
        FileTrouble: not there, unreadable, too large, or not a saved chat; the message says what is wrong.
    """
    data = files.read_small(path, limit_bytes=_FILE_LIMIT_BYTES)
    if data is None:
        raise FileTrouble(f"there is no file {path}", reference="chat-file")
    return decode_chat(data, source=path)


def encode_chat(chat: SavedChat) -> bytes:
    """The file's bytes."""
    turns = [_encode_turn(turn) for turn in chat.conversation.turns]
    record = {
        "schema": SCHEMA,
        "kind": _KIND,
        "model": chat.model,
        "system": chat.conversation.system,
        "turns": turns,
    }
    return json.dumps(record, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"


def _encode_turn(turn: Turn) -> dict[str, str]:
    record = {"role": turn.role.value, "text": turn.text}
    if turn.reasoning:
        record["reasoning"] = turn.reasoning
    if turn.role is Role.ASSISTANT:
        record["ending"] = turn.ending.value
    return record


def decode_chat(data: bytes, *, source: str) -> SavedChat:
    """A conversation from a file's bytes.

    Raises:
        FileTrouble: not JSON, not a saved chat, of a newer schema, or a field is not what it should be.
    """
    try:
        record = parse_json(data)
    except (ValueError, RecursionError) as problem:
        raise _wrong(source, "not a JSON file") from problem
    if not isinstance(record, dict) or record.get("kind") != _KIND:
        raise _wrong(source, f'"kind" is not "{_KIND}"')
    if record.get("schema") != SCHEMA:
        raise _wrong(source, f'"schema" is {str(record.get("schema"))[:20]}, this version reads {SCHEMA}')
    turns = record.get("turns")
    if not isinstance(turns, list) or len(turns) > _TURN_LIMIT:
        raise _wrong(source, f'"turns" is not a list of at most {_TURN_LIMIT:,}')
    decoded = tuple(_decode_turn(turn, place, source) for place, turn in enumerate(turns))
    system = _text(record, "system", "", source)
    return SavedChat(Conversation(system, decoded), _text(record, "model", "", source))


def _decode_turn(record: Any, place: int, source: str) -> Turn:  # noqa: ANN401 - foreign JSON
    where = f"turn {place + 1}: "
    if not isinstance(record, dict):
        raise _wrong(source, f"{where}not an object")
    role = _ROLES.get(_text(record, "role", where, source))
    if role is None:
        raise _wrong(source, f'{where}"role" is neither "user" nor "assistant"')
    ending = _ENDINGS.get(_text(record, "ending", where, source) or Ending.WHOLE.value)
    if ending is None:
        raise _wrong(source, f'{where}"ending" is none of {", ".join(_ENDINGS)}')
    return Turn(role, _text(record, "text", where, source), _text(record, "reasoning", where, source), ending)


def _text(record: dict[str, Any], field: str, where: str, source: str) -> str:
    value = record.get(field, "")
    if not isinstance(value, str):
        raise _wrong(source, f'{where}"{field}" is not text')
    try:
        value.encode()
    except UnicodeEncodeError as problem:
        raise _wrong(source, f'{where}"{field}" holds half a character pair') from problem
    return value


def _wrong(source: str, what: str) -> FileTrouble:
    return FileTrouble(f"{source} is not a saved chat", context=(what,), reference="chat-file")
