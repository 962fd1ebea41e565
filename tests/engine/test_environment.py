"""The engine's environment is built, not inherited."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bringup.engine.environment import clean_environment

INHERITED = {
    "PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "CUDA_VISIBLE_DEVICES": "0", "LD_LIBRARY_PATH": "/cuda",
    "LD_PRELOAD": "/evil.so", "PYTHONPATH": "/evil", "HTTP_PROXY": "http://x", "https_proxy": "http://x",
    "ALL_PROXY": "x", "LLAMA_ARG_CTX_SIZE": "9", "LLAMA_API_KEY": "secret", "GGML_CUDA_FORCE_MMQ": "1",
    "HF_TOKEN": "secret", "AWS_SECRET_ACCESS_KEY": "secret", "LLAMA_ARG_API_KEY_FILE": "/x",
}  # fmt: skip


def test_what_changes_the_engine_is_dropped_and_named() -> None:
    made = clean_environment(INHERITED, is_external=False)
    assert made.dropped == (
        "GGML_CUDA_FORCE_MMQ",
        "LLAMA_API_KEY",
        "LLAMA_ARG_API_KEY_FILE",
        "LLAMA_ARG_CTX_SIZE",
    )
    assert set(made.variables) == {"PATH", "HOME", "LC_ALL", "CUDA_VISIBLE_DEVICES", "GGML_NO_BACKTRACE"}


def test_what_is_asked_for_is_kept_but_never_a_key() -> None:
    made = clean_environment(INHERITED, is_external=False, keep_engine_variables=True)
    assert {"GGML_CUDA_FORCE_MMQ", "LLAMA_ARG_CTX_SIZE"} <= set(made.variables)
    assert made.dropped == ("LLAMA_API_KEY", "LLAMA_ARG_API_KEY_FILE")
    assert made.variables["LLAMA_ARG_CTX_SIZE"] == "9"
    assert "secret" not in made.variables.values()


def test_library_folders_pass_for_external_engines_only() -> None:
    assert "LD_LIBRARY_PATH" in clean_environment(INHERITED, is_external=True).variables
    assert "LD_LIBRARY_PATH" not in clean_environment(INHERITED, is_external=False).variables


@given(st.dictionaries(st.text(min_size=1), st.text()), st.booleans(), st.booleans())
def test_nothing_unlisted_passes(inherited: dict[str, str], is_external: bool, keep: bool) -> None:
    made = clean_environment(inherited, is_external=is_external, keep_engine_variables=keep)
    for name in made.variables:
        assert not name.startswith(("PYTHON", "LD_PRELOAD", "LD_AUDIT"))
        assert "proxy" not in name.lower()
