"""Words of other locales in a paste."""

from __future__ import annotations

import re
from pkgutil import get_data

import pytest

from bringup.stack.pasted import read_pasted
from bringup.stack.translated import in_english, with_english


@pytest.mark.parametrize(
    ("raw", "english"),
    [
        ("bash: nvidia-smi: orden no encontrada", "bash: nvidia-smi: command not found"),
        (
            "libcuda.so.1: Kann die Shared-Object-Datei nicht öffnen: Datei oder Verzeichnis nicht gefunden",
            "libcuda.so.1: cannot open shared object file: No such file or directory",
        ),
        (
            "dpkg: 处理软件包 nvidia-dkms-535 (--configure)时出错：",  # noqa: RUF001 - as printed
            "dpkg: error processing package nvidia-dkms-535 (--configure)：",  # noqa: RUF001 - as printed
        ),
        (
            "modprobe: ERROR: could not insert 'nvidia': Der SChlüssel wurde von Dienst zurückgewiesen",
            "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service",
        ),
        (
            "/usr/bin/ld : ne peut pas trouver -lcuda\N{NO-BREAK SPACE}: Aucun fichier ou dossier de ce type",
            "/usr/bin/ld : cannot find -lcuda : No such file or directory",
        ),
        (
            "dpkg: パッケージ nvidia-driver の処理中にエラーが発生しました (--configure):",
            "dpkg: error processing package nvidia-driver (--configure):",
        ),
        (
            "E: Paket nvidia-driver-999 kann nicht gefunden werden",
            "E: Unable to locate package nvidia-driver-999",
        ),
        (
            "dpkg: erreur de traitement du paquet nvidia-driver-535 (--configure) :",
            "dpkg: error processing package nvidia-driver-535 (--configure) :",
        ),
    ],
)
def test_a_line_is_put_into_english(raw: str, english: str) -> None:
    assert in_english([raw]) == {0: english}


def test_each_row_of_the_table_brings_its_english_words() -> None:
    data = get_data("bringup.stack", "translations.tsv")
    assert data is not None
    rows = [line.split("\t") for line in data.decode().splitlines()[1:]]
    assert len(rows) > 800
    lost = {other for _, other in rows}
    for english, other in rows:  # two messages of one program may be one in another language
        brought = in_english([re.sub(r"\{(\d)\}", r"arg\1", other)])[0]
        if max(re.split(r"\{\d\}", english), key=len) in brought:
            lost.discard(other)
    assert not lost


def test_a_break_within_a_line_moves_no_other_line() -> None:
    raws = ["first\nsecond", "bash: nvidia-smi: orden no encontrada"]
    assert in_english(raws) == {1: "bash: nvidia-smi: command not found"}


def test_english_text_is_left_alone_and_a_long_log_too() -> None:
    assert in_english(["bash: nvidia-smi: command not found", "всё хорошо"]) == {}
    assert with_english(["bash: x: orden no encontrada", "x" * 200_001], {}) == {}


def test_the_pieces_of_a_line_are_read_too() -> None:
    raw = '{"log":"bash: nvidia-smi: Befehl nicht gefunden.\\nbye"}'
    pieces = ("bash: nvidia-smi: Befehl nicht gefunden.", "bye")
    assert with_english([raw], {0: pieces}) == {0: (*pieces, "bash: nvidia-smi: command not found.")}


def test_the_line_itself_stays_and_both_have_its_number() -> None:
    _, lines = read_pasted("first\nnvidia-smi : commande introuvable\n")
    assert [(line.number, line.text) for line in lines.lines] == [
        (1, "first"),
        (2, "nvidia-smi : commande introuvable"),
        (2, "nvidia-smi : command not found"),
    ]
