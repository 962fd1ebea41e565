"""config.toml: never required, and never silently ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.actions.configuration import (
    Configuration,
    EngineConfiguration,
    ModelConfiguration,
    ServerConfiguration,
    parse_configuration,
    read_configuration,
)
from bringup.errors import FileTrouble, WrongUse
from bringup.machine.folders import our_folders


def test_no_file_means_the_defaults() -> None:
    assert read_configuration(our_folders()) == Configuration()


def test_every_key(own_home: Path) -> None:
    path = Path(our_folders().configuration_file)
    path.parent.mkdir(parents=True)
    path.write_text(
        '\ufeff[engine]\npath = "~/llama.cpp/build/bin"\nkeep_environment = true\n'
        '[server]\nport = 8081\nhost = "::1"\n[model]\ndefault = " qwen3-4b "\n',
        encoding="utf-8",
    )
    assert read_configuration(our_folders()) == Configuration(
        EngineConfiguration(f"{own_home}/llama.cpp/build/bin", keep_environment=True),
        ServerConfiguration(8081, "::1"),
        ModelConfiguration("qwen3-4b"),
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[server]\n\nprot = 1\n", "c.toml, line 3: unknown key prot in [server]", "Did you mean port?"),
        (
            "[model]\nx = 1\n[server]\nxyzzy = 1\n",
            "c.toml, line 2: unknown key x in [model]",
            "There is default.",
        ),
        ("\n[sever]\nport = 1\n", "c.toml, line 2: unknown [sever]", "Did you mean server?"),
        ("server.prot = 1\n", "c.toml: unknown key prot in [server]", "Did you mean port?"),
        (
            "engine = 3\n",
            "c.toml, line 1: engine is a section",
            "Write [engine] and below it its keys: path, keep_environment, wheel_index.",
        ),
        ("[server]\nport = 0\n", "c.toml, line 2: server.port must be a port from 1 to 65535", ""),
        ("[server]\nport = true\n", "c.toml, line 2: server.port must be a port from 1 to 65535", ""),
        ('[server]\nport = "80"\n', "c.toml, line 2: server.port must be a port from 1 to 65535", ""),
        ("[server]\nhost = ''\n", "c.toml, line 2: server.host must be a text that is not empty", ""),
        (
            "[engine]\nkeep_environment = 1\n",
            "c.toml, line 2: engine.keep_environment must be true or false",
            "",
        ),
        (
            '"server" = 3\n',
            "c.toml, line 1: server is a section",
            "Write [server] and below it its keys: port, host.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str, hint: str) -> None:
    with pytest.raises(WrongUse) as caught:
        parse_configuration(text.encode(), "c.toml")
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.reference == "configuration"


@pytest.mark.parametrize(
    "data",
    [b"[server\n", b"port = \n", b"\xff\xfe", b"a = " + b"[" * 5000, b"[a]\n[a]\n", b"a = " + b"9" * 5000],
)
def test_what_is_no_toml_is_said(data: bytes) -> None:
    with pytest.raises(WrongUse, match=r"c\.toml is not valid TOML") as caught:
        parse_configuration(data, "c.toml")
    assert caught.value.context
    assert "codec" not in caught.value.context[0]
    assert "move it away" in caught.value.hint


def test_a_huge_file_is_refused(own_home: Path) -> None:
    path = Path(our_folders().configuration_file)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"#" * (2 * 1024**2))
    with pytest.raises(FileTrouble):
        read_configuration(our_folders())


def test_the_readme_shows_every_key_and_nothing_else() -> None:
    import re

    from bringup.actions.configuration import _KEYS

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (shown,) = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    assert parse_configuration(shown.encode(), "README.md").model.default == "qwen3-4b"
    for section, keys in _KEYS.items():
        assert f"[{section}]" in shown
        assert all(re.search(rf"^{key} = ", shown, re.MULTILINE) for key in keys), section
