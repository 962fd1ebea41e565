"""A file that is no model, from the web: an engine's archive, told apart by its hash."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from bringup.machine import files, paths
from bringup.store.landing import Landing, Wanted, land
from bringup.store.prepare import DEFAULT_TIMING, ask_size
from bringup.store.progress import Reporter, TransferProgress
from bringup.store.transfer import Remote, fill_from_web
from bringup.store.web import Timing, Web, site_of, without_query


def fetch_plain_file(
    url: str,
    path: str,
    sha256: str,
    *,
    on_progress: Callable[[TransferProgress], None],
    timing: Timing = DEFAULT_TIMING,
) -> None:
    """Have a file of the web at a path, continued where an earlier try ended, its hash checked.

    Raises:
        DownloadError: it could not be had, or its bytes are not those of the hash; then nothing is kept.
        FileTrouble: the disk.
    """
    files.make_private_folder(paths.dirname(path))
    with Web(timing=timing, typed_sites=frozenset({site_of(url)})) as web:
        wanted = Wanted(
            final_path=path,
            name=urlsplit(url).path.rpartition("/")[2][:120],
            address=without_query(url),
            key=sha256,
            size_bytes=ask_size(url, web),
            sha256=sha256,
            is_model=False,
        )

        def fill(landing: Landing) -> None:
            fill_from_web(landing, Remote(url), web, timing)

        land(wanted, fill, Reporter(wanted.name, wanted.size_bytes, on_progress))
