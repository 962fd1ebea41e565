"""One key a user, made once, private."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bringup.engine.key import read_or_create_key
from bringup.errors import FileTrouble
from bringup.machine.folders import Folders


def test_it_is_made_once(folders: Folders) -> None:
    key = read_or_create_key(folders)
    assert len(key) >= 32 and key.isascii() and " " not in key
    assert read_or_create_key(folders) == key
    assert stat.S_IMODE(os.stat(folders.key_file).st_mode) == 0o600
    assert os.listdir(folders.state) == ["key"]


def test_first_calls_at_once_agree(folders: Folders) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: read_or_create_key(folders), range(16)))
    assert len(keys) == 1
    assert os.listdir(folders.state) == ["key"]


def test_two_users_have_two_keys(folders: Folders, tmp_path: Path) -> None:
    other = Folders("", "", str(tmp_path / "other"))
    assert read_or_create_key(folders) != read_or_create_key(other)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"# only a comment\n", b"two words\n", b"\xff\xfe\n", b"x\n y\n"]
)
def test_a_damaged_key_is_not_used(folders: Folders, content: bytes) -> None:
    os.makedirs(folders.state)
    path = Path(folders.key_file)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(FileTrouble) as caught:
        read_or_create_key(folders)
    assert caught.value.reference == "key-damaged"


def test_a_key_that_others_can_read_is_not_used(folders: Folders) -> None:
    read_or_create_key(folders)
    os.chmod(folders.key_file, 0o644)
    with pytest.raises(FileTrouble) as caught:
        read_or_create_key(folders)
    assert caught.value.reference == "key-exposed"
