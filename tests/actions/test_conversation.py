"""Conversations: nothing is lost unasked, reasoning is not fed back, the window is announced once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.actions.chat.chat_file import (
    SavedChat,
    chat_path,
    decode_chat,
    encode_chat,
    load_chat,
    save_chat,
)
from bringup.actions.chat.conversation import Conversation, Ending, Role, Turn, WindowWatch
from bringup.errors import FileTrouble, WrongUse
from bringup.machine.folders import our_folders

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TURNS = st.builds(
    Turn, st.sampled_from([Role.USER, Role.ASSISTANT]), TEXT, st.just(""), st.just(Ending.WHOLE)
)


def talk(*pairs: tuple[str, str]) -> Conversation:
    conversation = Conversation(system="Be brief.")
    for question, answer in pairs:
        conversation = conversation.asked(question).answered(Turn(Role.ASSISTANT, answer, reasoning="hm"))
    return conversation


def test_messages_hold_everything_but_the_reasoning() -> None:
    sent = talk(("one", "1"), ("two", "2")).messages()
    assert sent == (
        (Role.SYSTEM, "Be brief."),
        (Role.USER, "one"),
        (Role.ASSISTANT, "1"),
        (Role.USER, "two"),
        (Role.ASSISTANT, "2"),
    )


def test_dropping_takes_whole_exchanges_from_the_front_and_never_the_last() -> None:
    conversation = talk(("one", "1"), ("two", "2")).asked("three")
    shorter = conversation.last_exchanges(2)
    assert [turn.text for turn in shorter.turns] == ["two", "2", "three"]
    assert shorter.system == "Be brief."
    assert [turn.text for turn in shorter.last_exchanges(1).turns] == ["three"]
    assert conversation.last_exchanges(3) == conversation.last_exchanges(9) == conversation


def test_a_question_can_be_asked_again_or_taken_back() -> None:
    whole = talk(("one", "1"))
    assert [turn.text for turn in whole.without_last_answer().turns] == ["one"]
    assert whole.without_last_question() is whole
    assert whole.without_last_answer().without_last_question().turns == ()


def test_the_window_is_announced_once_at_each_share_and_again_after_it_was_emptied() -> None:
    watch = WindowWatch()
    seen = [watch.notice(used_tokens=used, n_ctx=1000) for used in (740, 750, 800, 900, 999, 100, 950)]
    assert seen == [None, 75, None, 90, None, None, 90]


@given(st.builds(Conversation, TEXT, st.lists(TURNS, max_size=8).map(tuple)), TEXT)
def test_a_saved_chat_comes_back_as_it_was(conversation: Conversation, model: str) -> None:
    chat = SavedChat(conversation, model)
    assert decode_chat(encode_chat(chat), source="x") == chat


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=3))
)
def test_any_value_in_any_field_is_read_or_named(value: object) -> None:
    sound = json.loads(encode_chat(SavedChat(talk(("one", "1")), "m")))
    for field in sound:
        broken = json.dumps(sound | {field: value}).encode()
        with_turn = json.dumps(sound | {"turns": [{"role": "user", "text": "t", field: value}]}).encode()
        for data in (broken, with_turn):
            try:
                chat = decode_chat(data, source="foreign.json")
            except FileTrouble as trouble:
                assert trouble.reference == "chat-file"
                assert trouble.context
            else:
                assert isinstance(chat.conversation.system, str)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a JSON file"),
        (b"\xff\xfe", "not a JSON file"),
        (b"[" * 200_000, "not a JSON file"),
        (b"[]", "kind"),
        (b'{"kind": "bringup-chat", "schema": 2, "turns": []}', "this version reads 1"),
        (b'{"kind": "bringup-chat", "schema": 1, "turns": {}}', "not a list"),
        (b'{"kind": "bringup-chat", "schema": 1, "turns": [{"role": "system"}]}', "turn 1"),
        (b'{"kind": "bringup-chat", "schema": 1, "turns": [], "system": "\\ud800"}', "half a character"),
        (b'{"kind": "bringup-chat", "schema": 1, "turns": [{"role": "user", "text": 7}]}', "not text"),
        (b'{"kind": "bringup-chat", "schema": 1, "turns": [{"role": "user", "ending": "x"}]}', "ending"),
    ],
)
def test_a_foreign_file_is_named_for_what_is_wrong(data: bytes, words: str) -> None:
    with pytest.raises(FileTrouble) as caught:
        decode_chat(data, source="foreign.json")
    assert "foreign.json" in caught.value.message
    assert words in " ".join(caught.value.context)


def test_names_stay_in_the_chats_folder_and_paths_are_taken_as_paths() -> None:
    folders = our_folders()
    assert chat_path(folders, "holiday") == f"{folders.chats}/holiday.json"
    assert chat_path(folders, "holiday.json") == f"{folders.chats}/holiday.json"
    assert chat_path(folders, "/srv/a.json") == "/srv/a.json"
    for bad in ("", "..\\x", "a\x00b", "a\x1bb"):
        with pytest.raises(WrongUse):
            chat_path(folders, bad)


def test_saving_replaces_a_chat_but_nothing_else() -> None:
    folders = our_folders()
    path = chat_path(folders, "a")
    save_chat(path, SavedChat(talk(("one", "1")), "m"))
    save_chat(path, SavedChat(talk(("two", "2")), "m"))
    assert load_chat(path).conversation == talk(("two", "2"))
    other = chat_path(folders, folders.chats + "/notes.txt")
    with open(other, "w") as handle:
        handle.write("mine")
    with pytest.raises(FileTrouble, match="left as it is"):
        save_chat(other, SavedChat(talk(), "m"))
    with open(other) as handle:
        assert handle.read() == "mine"
    with pytest.raises(FileTrouble, match="there is no file"):
        load_chat(chat_path(folders, "absent"))
