"""Unpacks the layers of an image into a folder: no file is written outside it, and not more than an agent needs.

Layers come from strangers. Beside tarfile's ``data`` filter, no entry passes through a link of an earlier entry, and
sizes are checked before and while reading: versions of Python are in use whose filter can be misled by long links.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_UNPACKED_BYTES = 1024**3
MAX_ENTRIES = 100_000
MAX_HEADER_BYTES = 1024**2
GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
ABSENT_ROOTS = ("proc/", "sys/", "dev/", "run/")
"""Links into these are left out: a container has them, and an image does not."""
HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class UnpackError(Exception):
    """A layer cannot be unpacked; the message says why."""


@dataclass
class Layer:
    """A layer in a file; ``digest`` names it in messages, ``content_digest`` is that of its tar archive, if known."""

    file: Path
    digest: str
    content_digest: str | None = None


def unpack(layers: list[Layer], root: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> None:
    """Unpack the layers into an empty folder, the lowest first."""
    if not hasattr(tarfile, "data_filter"):
        raise UnpackError("this Python is too old to unpack images safely: use 3.11.4 or newer")
    unpacking = _Unpacking(root, max_bytes)
    for layer in layers:
        try:
            with layer.file.open("rb") as file:
                unpacking.layer(layer, file)
        except EOFError as error:
            raise UnpackError(f"layer {layer.digest} is truncated") from error
        except tarfile.FilterError as error:
            raise UnpackError(f"layer {layer.digest}: {_filter_reason(error)}") from error
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
            raise UnpackError(f"layer {layer.digest} cannot be read: {error}") from error
        except (OSError, ValueError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnpackError(f"layer {layer.digest} cannot be unpacked: {reason}") from error
        except UnpackError as error:
            raise UnpackError(f"layer {layer.digest}: {error}") from error
    unpacking.check_links()


class _Unpacking:
    """The state that the layers of one image share."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._bytes = self._entries = 0
        self._absolute_links: list[Path] = []

    def layer(self, layer: Layer, file: BinaryIO) -> None:
        content = _Content(_decompressed(file), self._max_bytes)
        with tarfile.open(fileobj=content, mode="r|", tarinfo=_Entry) as archive:
            for entry in archive:
                self._check_size(entry)
                self._extract(archive, entry)
        content.drain()
        if layer.content_digest and layer.content_digest != content.digest:
            raise UnpackError("its content is not what the image's configuration names in diff_ids")

    def _check_size(self, entry: tarfile.TarInfo) -> None:
        self._entries += 1
        self._bytes += max(entry.size, 0)
        if self._bytes > self._max_bytes:
            raise UnpackError(f"the image is larger than {_megabytes(self._max_bytes)} unpacked")
        if self._entries > MAX_ENTRIES:
            raise UnpackError(f"the image has more than {MAX_ENTRIES:,} files")

    def _extract(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        if entry.name.startswith("/") or ".." in entry.name.split("/"):
            raise UnpackError(f"{entry.name!r} is a path outside the image")
        target = self._target(entry.name)
        if target.name.startswith(WHITEOUT):
            _white_out(target)
            return
        if target == self._root:
            return
        if not (entry.isdir() and target.is_dir() and not target.is_symlink()):
            _remove(target)
        link = self._relative_link(entry, target) if entry.issym() else entry
        if link is None:
            return
        if entry.islnk() and self._target(entry.linkname).is_symlink():
            raise UnpackError(f"{entry.name!r} is a hard link to a link")
        archive.extract(link, self._root, set_attrs=not entry.isdir(), filter="data")

    def _relative_link(self, entry: tarfile.TarInfo, target: Path) -> tarfile.TarInfo | None:
        """Return an absolute link as the relative one that it is in a container, or None to leave it out."""
        if not entry.linkname.startswith("/"):
            return entry
        inside = os.path.normpath(entry.linkname).lstrip("/")
        if f"{inside}/".startswith(ABSENT_ROOTS):
            return None
        self._absolute_links.append(target)
        return entry.replace(linkname=os.path.relpath(self._root / inside, target.parent), deep=False)

    def _target(self, name: str) -> Path:
        """Return where an entry goes; refuse a path that passes through a link."""
        target = self._root.joinpath(*(part for part in name.split("/") if part not in ("", ".")))
        if target != self._root:
            for parent in target.relative_to(self._root).parents:
                if (self._root / parent).is_symlink():
                    raise UnpackError(f"{name!r} passes through the link {str(parent)!r}")
        return target

    def check_links(self) -> None:
        """Refuse an absolute link to a file that the image does not have: on this machine it would be another file."""
        for link in self._absolute_links:
            if link.is_symlink() and not link.exists():
                raise UnpackError(f"the link {str(link.relative_to(self._root))!r} leads out of the image")


class _Entry(tarfile.TarInfo):
    """An entry whose extended headers are small: tarfile reads them into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Entry:
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in HEADERS and entry.size > MAX_HEADER_BYTES:
            raise UnpackError(f"a header has {entry.size:,} bytes")
        return entry


class _Content(io.RawIOBase):
    """The archive of a layer while it is read: counts and hashes it."""

    def __init__(self, source: BinaryIO, max_bytes: int) -> None:
        self._source, self._left = source, max_bytes
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(min(size, 1024**2) if size >= 0 else 1024**2)
        self._left -= len(data)
        if self._left < 0:
            raise UnpackError(f"it is larger than {_megabytes(self._max_bytes)} decompressed")
        self._hash.update(data)
        return data

    def drain(self) -> None:
        """Read to the end: what follows the archive counts and is checked too."""
        while self.read():
            pass


def _decompressed(file: BinaryIO) -> BinaryIO:
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(ZSTANDARD):
        raise UnpackError("it is compressed with zstd, which the local Foundry does not read: build it with gzip")
    return gzip.GzipFile(fileobj=file) if magic.startswith(GZIP) else file  # type: ignore[return-value]


def _white_out(entry: Path) -> None:
    """Remove what an earlier layer has: the file that the entry names, or the content of its folder."""
    if entry.name == OPAQUE:
        for child in entry.parent.iterdir() if entry.parent.is_dir() else ():
            _remove(child)
    elif (name := entry.name.removeprefix(WHITEOUT)) not in ("", ".", ".."):
        _remove(entry.with_name(name))


def _filter_reason(error: tarfile.FilterError) -> str:
    name = error.tarinfo.name
    if isinstance(error, tarfile.SpecialFileError):
        return f"{name!r} is a device or another special file"
    if isinstance(error, tarfile.AbsoluteLinkError | tarfile.LinkOutsideDestinationError):
        return f"the link {name!r} leads out of the image"
    return f"{name!r} is a path outside the image"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _megabytes(count: int) -> str:
    return f"{count // 1024**2:,} MB"
