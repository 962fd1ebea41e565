"""BLAKE2b alone: the same that `hashlib` hands out, which loads all of OpenSSL beside it.

A plan or a check writes one entry; loading OpenSSL for that takes a third of Python's own start.
"""

from __future__ import annotations

from _blake2 import blake2b as blake2b
