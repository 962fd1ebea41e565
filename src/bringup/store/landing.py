"""How bytes become a file with a final name: one at a time, resumable, verified, synced, renamed.

A final name means verified bytes: the hash is computed over everything that is in the file (what an
earlier run left is read again), compared with the published one, the file is synced and only then
renamed. Where no hash is published, the size and the first bytes are all that can be checked, and the
file's origin record says "not verified".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from bringup.errors import DownloadError, FileTrouble
from bringup.machine import clock, locks, partial, paths, tree
from bringup.records import dataclass
from bringup.store import records
from bringup.store.progress import Reporter, TransferState
from bringup.units import KIB, MIB

CHUNK_BYTES = 8 * MIB
"""What is synced and recorded at a time. A kill costs less: what was written survives it unsynced."""

_CHUNK_LIMIT_BYTES = 256 * MIB
_SYNC_SHARE = 0.05

_MAGIC = b"GGUF"
_READ_BYTES = 4 * MIB
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to have.

    Attributes:
        final_path: where it goes.
        name: what a person types to get it.
        address: where it is from, without a query (which may hold secrets).
        key: names the content; bytes of a partial file with another key are not continued.
        size_bytes: its whole size.
        sha256: the published hash (hex), `None` where the source publishes none.
        is_model: it has to begin as a GGUF file does.
    """

    final_path: str
    name: str
    address: str
    key: str
    size_bytes: int
    sha256: str | None
    is_model: bool = True


class Landing:
    """A partial file that this process owns and fills in order."""

    def __init__(
        self, wanted: Wanted, mine: partial.PartialFolder, lease: locks.Lease, reporter: Reporter
    ) -> None:
        self.wanted = wanted
        self.reporter = reporter
        self.folder = mine.path
        self._mine = mine
        self._lease = lease
        self._data = partial.PartialData(mine)
        self._hash = hashlib.sha256()
        self.done_bytes = 0
        self.resumed_bytes = 0
        self.etag: str | None = None
        self._recorded_bytes = 0
        self._next_sync_s = 0.0

    def close(self) -> None:
        """Close the data file; the partial file stays."""
        self._data.__exit__()

    def resume(self) -> None:
        """Take over what an earlier run left of the same content, reading it again for the hash."""
        record = records.read_partial_record(self._mine.record_path)
        if record is None or record.key != self.wanted.key or record.size_bytes != self.wanted.size_bytes:
            self.restart()
            return
        there = self._data.size_bytes()
        # In the same boot a kill loses nothing that was written; after a power cut only what was synced
        # counts.
        is_same_boot = record.boot_id != "" and record.boot_id == partial.boot_id()
        whole = there if is_same_boot else min(there, record.done_bytes)
        whole = min(whole, self.wanted.size_bytes)
        self._data.truncate(whole)
        while self.done_bytes < whole:
            data = self._data.read_at(self.done_bytes, _READ_BYTES)
            if not data:
                break  # somebody cut the file meanwhile: what was read is what there is
            self._hash.update(data)
            self.done_bytes += len(data)
        self.etag = record.etag
        self.resumed_bytes = self.done_bytes
        self.checkpoint()
        self.reporter.set_done(self.done_bytes)

    def restart(self) -> None:
        """Throw away what is there and begin at the first byte."""
        self._data.truncate(0)
        self._hash = hashlib.sha256()
        self.done_bytes = self.resumed_bytes = self._recorded_bytes = 0
        self._next_sync_s = 0.0
        self.etag = None
        self.checkpoint()
        self.reporter.set_done(0)

    def append(self, data: bytes, *, tell: bool = True) -> None:
        """Add bytes at the end; `tell` moves the progress with them.

        Raises:
            FileTrouble: the disk is full or broken; what was written before stays.
            DownloadError: more bytes than the file has.
            ModelFileError: the first bytes are not those of a GGUF file.
        """
        if self.done_bytes + len(data) > self.wanted.size_bytes:
            raise DownloadError(
                f"{self.wanted.address} sends more than the {self.wanted.size_bytes:,} bytes of the file",
                reference="body-too-long",
            )
        self._data.write_at(self.done_bytes, data)
        self._hash.update(data)
        before, self.done_bytes = self.done_bytes, self.done_bytes + len(data)
        if before < KIB and self.wanted.is_model:
            self._check_head()
        if self._is_checkpoint_due():
            self.checkpoint()
        if tell:
            self.reporter.set_done(self.done_bytes)

    def _is_checkpoint_due(self) -> bool:
        """After each chunk; on a slow disk later, so that waiting for it takes a twentieth of the time."""
        fresh_bytes = self.done_bytes - self._recorded_bytes
        if fresh_bytes < CHUNK_BYTES:
            return False
        return fresh_bytes >= _CHUNK_LIMIT_BYTES or clock.monotonic_s() >= self._next_sync_s

    def checkpoint(self) -> None:
        """Make what is there durable and record how far that is."""
        started_s = clock.monotonic_s()
        if self.done_bytes:
            self._data.sync()
        wanted = self.wanted
        record = records.PartialRecord(
            name=wanted.name,
            address=wanted.address,
            key=wanted.key,
            size_bytes=wanted.size_bytes,
            sha256=wanted.sha256,
            etag=self.etag,
            done_bytes=self.done_bytes,
            boot_id=partial.boot_id(),
        )
        records.write_record(self._mine.record_path, record)
        ended_s = clock.monotonic_s()
        if self.done_bytes > self._recorded_bytes:
            self._next_sync_s = ended_s + (ended_s - started_s) / _SYNC_SHARE
        self._recorded_bytes = self.done_bytes
        self._lease.heartbeat()

    def _check_head(self) -> None:
        head = self._data.read_at(0, KIB)
        if _MAGIC.startswith(head[:4]) or (len(head) < KIB and self.done_bytes < self.wanted.size_bytes):
            return
        self.restart()
        raise _not_gguf(head, self.wanted)

    def is_whole(self) -> bool:
        """Whether every byte is there."""
        return self.done_bytes == self.wanted.size_bytes

    def publish(self) -> None:
        """Verify, sync, and give the file its name.

        Raises:
            DownloadError: bytes missing, or the hash is not the published one.
        """
        self.reporter.tell(TransferState.VERIFYING)
        wanted = self.wanted
        if not self.is_whole():
            raise DownloadError(
                f"{wanted.name}: {wanted.size_bytes - self.done_bytes:,} bytes are missing",
                reference="download-incomplete",
            )
        found = self._hash.hexdigest()
        if wanted.sha256 is not None and found != wanted.sha256:
            was_resumed = self.resumed_bytes > 0
            self.restart()
            raise HashMismatch(wanted, found, was_resumed=was_resumed)
        self._data.sync()
        written = tree.look_at(self._mine.data_path)
        origin = records.Origin(
            wanted.name,
            wanted.address,
            wanted.size_bytes,
            found,
            wanted.sha256 is not None,
            None if written is None else written.modified_s,
        )
        # Written in the partial folder and moved: a kill leaves no remains of it among the models.
        records.write_record(self._mine.origin_path, origin)
        partial.publish(self._mine, wanted.final_path, origin_path=records.origin_path(wanted.final_path))
        # Only now: a partial file that is read-only could not be continued by the next run.
        self._data.restrict_to_reading()


class HashMismatch(DownloadError):
    """Every byte came, but they are not the published ones. The partial file was emptied.

    `was_resumed`: a part was left by an earlier run, so one try from the first byte is worth it.
    """

    default_reference = "checksum-mismatch"

    def __init__(self, wanted: Wanted, found: str, *, was_resumed: bool) -> None:
        super().__init__(
            f"{wanted.name}: the bytes that came are not the published ones; nothing was kept",
            context=(f"published SHA-256: {wanted.sha256}", f"of what came:      {found}"),
            hint="Try once more. If it repeats, something between here and the source changes the bytes.",
        )
        self.was_resumed = was_resumed


def _not_gguf(head: bytes, wanted: Wanted) -> Exception:
    from bringup.model.identify import explain_not_gguf, identify

    kind = identify(head, wanted.size_bytes)
    return explain_not_gguf(kind, wanted.name, head=head, size_bytes=wanted.size_bytes)


def is_here(wanted: Wanted) -> bool:
    """Whether the final file is there already as we wrote it."""
    entry = tree.look_at(wanted.final_path)
    origin = records.read_origin(records.origin_path(wanted.final_path))
    if entry is None or origin is None or entry.size_bytes != wanted.size_bytes:
        return False
    if origin.modified_s not in (None, entry.modified_s):
        return False
    return wanted.sha256 is None or (origin.verified and origin.sha256 == wanted.sha256)


def reusable_bytes(wanted: Wanted) -> int:
    """Bytes on the disk that an earlier run left for this file."""
    left = partial.find_partials(paths.dirname(wanted.final_path), paths.basename(wanted.final_path))
    return sum(one.data_bytes() for one in left)


def land(wanted: Wanted, fill: Callable[[Landing], None], reporter: Reporter) -> bool:
    """Have the file: wait for whoever is fetching it, continue what is there, `fill` the rest, publish.

    Returns:
        Whether it was fetched by this call (`False`: it was there, or another process fetched it).

    Raises:
        DownloadError, FileTrouble, ModelFileError: it could not be had; what came is kept unless wrong.
    """
    folder, base = paths.dirname(wanted.final_path), paths.basename(wanted.final_path)
    with _wait_for_lease(paths.join(folder, f".{base}.lease"), wanted, reporter) as lease:
        if is_here(wanted):
            clear_left_behind(wanted.final_path)
            reporter.set_done(wanted.size_bytes)
            reporter.tell(TransferState.FINISHED)
            return False
        landing = Landing(wanted, _own_partial(folder, base), lease, reporter)
        try:
            landing.resume()
            fill(landing)
            landing.publish()
        except FileTrouble as problem:
            problem.context += (f"{landing.done_bytes:,} of {wanted.size_bytes:,} bytes are here and kept",)
            raise
        finally:
            landing.close()
            if landing.done_bytes == 0:
                clear_left_behind(wanted.final_path)  # nothing to continue, so nothing to keep
        clear_left_behind(wanted.final_path)
    reporter.tell(TransferState.FINISHED)
    return True


def _wait_for_lease(path: str, wanted: Wanted, reporter: Reporter) -> locks.Lease:
    told: locks.Holder | None = None
    while True:
        lease = locks.try_lease(path)
        if isinstance(lease, locks.Lease):
            return lease
        if lease != told and lease.pid:
            told = lease
            where = "" if lease.is_on_this_host else f" on {lease.host}"
            who = f"process {lease.pid}{where} is fetching this file"
            reporter.tell(TransferState.WAITING, f"{who}; waiting for it")
        reporter.set_done(min(reusable_bytes(wanted), wanted.size_bytes))
        clock.sleep_s(_POLL_S)


def _own_partial(folder: str, base: str) -> partial.PartialFolder:
    """A partial of ours: the fullest that a dead process left, or a new one."""
    left = [one for one in partial.find_partials(folder, base) if one.is_ours or not one.is_owner_alive]
    for one in sorted(left, key=lambda one: -one.data_bytes()):
        claimed = partial.claim_partial(one)
        if claimed is not None:
            return claimed
    return partial.create_partial(folder, base)


def clear_left_behind(final_path: str) -> None:
    """Remove what killed runs left of a file that is whole now."""
    for one in partial.find_partials(paths.dirname(final_path), paths.basename(final_path)):
        if one.is_ours or not one.is_owner_alive:
            partial.remove_partial(one)


def check_space(folder: str, wanted: tuple[Wanted, ...], *, extra_bytes: int = 0) -> None:
    """Refuse before the first byte what cannot fit.

    Raises:
        FileTrouble: `disk-full`, with the folder and both figures.
    """
    missing = sum(max(0, one.size_bytes - reusable_bytes(one)) for one in wanted) + extra_bytes
    needed = missing + missing // 100 + 4 * MIB  # the file system's own blocks, our records
    free = tree.free_bytes(folder)
    if missing and needed > free:
        raise FileTrouble(
            f"not enough space in {folder}",
            context=(
                f"needed: {needed:,} bytes ({needed / MIB:,.1f} MiB)",
                f"free:   {free:,} bytes ({free / MIB:,.1f} MiB)",
            ),
            hint="Free some space there, or point XDG_CACHE_HOME to a larger disk. Nothing was fetched.",
            reference="disk-full",
        )
