"""What a model of the catalogue is started with."""

from __future__ import annotations

from pathlib import Path

from bringup.actions.running.preparation import EngineWishes, prepare
from bringup.actions.surroundings import look_around
from bringup.store.local import LocalModel, OriginKind


def test_the_small_model_is_sampled_as_its_authors_recommend(small_model: Path) -> None:
    model = LocalModel(
        name=str(small_model),
        paths=(str(small_model),),
        size_bytes=small_model.stat().st_size,
        origin=OriginKind.PATH,
    )
    settings = prepare(model, EngineWishes(n_threads=1), look_around()).settings
    assert (settings.temperature, settings.top_p) == (0.2, 0.9)


def test_a_file_that_is_in_no_catalogue_keeps_the_engines_defaults(small_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.symlink_to(small_model)
    model = LocalModel(
        name=str(path), paths=(str(path),), size_bytes=small_model.stat().st_size, origin=OriginKind.PATH
    )
    settings = prepare(model, EngineWishes(n_threads=1), look_around()).settings
    assert (settings.temperature, settings.top_p) == (None, None)
