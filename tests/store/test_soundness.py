"""A sound file is looked through once; a changed one, or one for which the rules changed, again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bringup.actions.running import preparation
from bringup.actions.running.preparation import EngineWishes, prepare
from bringup.actions.surroundings import look_around
from bringup.errors import ModelFileError
from bringup.machine.folders import our_folders
from bringup.store import soundness
from bringup.store.local import LocalModel, OriginKind
from bringup.store.soundness import is_known_sound, keep_sound


@pytest.fixture
def model(small_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(small_model, tmp_path / "model.gguf"))


def local(path: Path) -> LocalModel:
    return LocalModel(str(path), (str(path),), path.stat().st_size, OriginKind.PATH)


def prepare_it(path: Path) -> None:
    prepare(local(path), EngineWishes(n_threads=1, n_ctx=512), look_around())


def test_it_is_looked_through_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_it(model)
    monkeypatch.setattr(preparation, "refuse_killers", lambda _: pytest.fail("looked through again"))
    prepare_it(model)


def test_a_file_that_ends_engines_is_refused_each_time(model: Path) -> None:
    prepare_it(model)
    # One token gets the text of another one.
    model.write_bytes(model.read_bytes().replace(b"<|im_end|>", b"<filename>", 1))
    for _ in range(2):
        with pytest.raises(ModelFileError) as caught:
            prepare_it(model)
        assert "would end the engine" in caught.value.message


def test_a_changed_file_is_not_known(model: Path) -> None:
    names, ours = [str(model)], our_folders()
    assert not is_known_sound(names, ours)
    keep_sound(names, ours)
    assert is_known_sound(names, ours)
    os.utime(model, (1, 1))
    assert not is_known_sound(names, ours)


def test_changed_rules_know_nothing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, ours = [str(model)], our_folders()
    keep_sound(names, ours)
    with monkeypatch.context() as another:
        another.setattr(soundness, "__version__", "0.0.0")
        assert not is_known_sound(names, ours)
    assert is_known_sound(names, ours)


@pytest.mark.parametrize("damage", ["cut", "flipped", "folder", "gone"])
def test_a_damaged_mark_is_none(damage: str, model: Path) -> None:
    names, ours = [str(model)], our_folders()
    keep_sound(names, ours)
    (mark,) = Path(ours.header_index).glob("*.sound")
    if damage == "cut":
        mark.write_bytes(mark.read_bytes()[:-1])
    elif damage == "flipped":
        mark.write_bytes(mark.read_bytes().replace(b"1", b"2", 1))
    else:
        mark.unlink()
        if damage == "folder":
            mark.mkdir()
    assert not is_known_sound(names, ours)


def test_a_cache_that_cannot_be_written_is_no_trouble(model: Path) -> None:
    ours = our_folders()
    Path(ours.cache).parent.mkdir(parents=True, exist_ok=True)
    Path(ours.cache).write_text("not a folder")
    keep_sound([str(model)], ours)
    assert not is_known_sound([str(model)], ours)
    keep_sound([str(model) + ".gone"], ours)
