"""Where bytes come from: files, folders, archives, standard input; unpacked and decoded to text.

The content decides, not the file name: a `.csv.gz` that is plain text is read as such, and said so.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import sys
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.core.errors import DataError, Where, did_you_mean
from tunesmith.core.notes import Note

PACKED = (".gz", ".zst", ".zip")
PREFIXES = {
    "train": ("train", "training"),
    "dev": ("dev", "valid", "validation", "val"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Blob:
    """One file's bytes, unpacked.

    Attributes:
        file: how messages call it ("archive.zip/rows.csv" for a member of an archive).
        name: its base name without .gz, .zst.
        content: all bytes.
        digest: SHA-256 of the file on disk (of the bytes read, for standard input).
        size: bytes on disk.
    """

    file: str
    name: str
    content: bytes
    digest: str
    size: int


def load(path: str) -> tuple[list[Blob], list[Note]]:
    """Return the unpacked content of a file ("-" is standard input); several blobs for an archive of several files.

    Raises:
        DataError: it is missing, damaged, or packed in a way that can't be opened.
    """
    if path == "-":
        raw, name = sys.stdin.buffer.read(), "standard input"
    else:
        refuse_no_file(path)
        raw, name = Path(path).read_bytes(), Path(path).name
    shown = "standard input" if path == "-" else path
    return _unpack(raw, shown, name)


def refuse_no_file(path: str) -> None:
    """Raise DataError if there is no such file or folder; "-" is standard input."""
    if path != "-" and not Path(path).exists():
        raise DataError("there is no such file", where=Where(path), fix=_neighbour(Path(path)))


def _unpack(raw: bytes, file: str, name: str) -> tuple[list[Blob], list[Note]]:
    digest, size = hashlib.sha256(raw).hexdigest(), len(raw)
    notes: list[Note] = []
    suffix = Path(name).suffix.lower()
    bare = name[: -len(suffix)] if suffix in PACKED else name
    try:
        if raw[:2] == b"\x1f\x8b":
            content = gzip.decompress(raw)
        elif raw[:4] == b"\x28\xb5\x2f\xfd":
            content = _unzstd(raw)
        elif raw[:4] == b"PK\x03\x04" and not _is_office(raw):
            return [Blob(f"{file}/{n}", Path(n).name, c, digest, size) for n, c in _members(raw, file)], notes
        else:
            content = raw
            if suffix in PACKED:
                notes.append(Note("info", "file type", f"{file} is called {suffix} but is not packed; read as it is"))
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(
            f"the packed file is damaged or cut off ({error})", where=Where(file), fix="fetch or pack it again"
        ) from None
    return [Blob(file, bare, content, digest, size)], notes


def _is_office(raw: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return "[Content_Types].xml" in archive.namelist()


def _members(raw: bytes, file: str) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        found = []
        for info in archive.infolist():
            base = Path(info.filename).name
            if info.is_dir() or base.startswith(".") or info.filename.startswith("__MACOSX"):
                continue
            if info.flag_bits & 1:
                raise DataError("the archive has a password", where=Where(file), fix="unpack it and give the folder")
            found.append((info.filename, archive.read(info)))
    return found


def _unzstd(raw: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise DataError("reading .zst needs a library", fix="pip install 'tunesmith[zstd]'") from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            content: bytes = stream.read()
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from None
    return content


def decode(blob: Blob, *, encoding: str) -> tuple[str, list[Note]]:
    """Return a blob as text; says which encoding was found where it is not UTF-8.

    Raises:
        DataError: it is not text, or not in the encoding the user named.
    """
    if encoding != "auto":
        return _decode_as(blob.content, blob.file, encoding), []
    name = encoding_of(blob)
    text = _decode_as(blob.content, blob.file, name, errors="strict" if name.startswith("utf-") else "replace")
    if name.startswith("utf-8"):
        return text, []
    if name.startswith("utf-"):
        return text, [Note("info", "encoding", f"{blob.file} is {name.upper()}")]
    message = f"{blob.file} is not UTF-8; read as {name}"
    other = "cp1250" if name != "cp1250" else "cp1252"
    fix = f"--set data.encoding={other} (or another) if letters look wrong"
    return text, [Note("info", "encoding", message, fix)]


def decode_start(blob: Blob, *, encoding: str) -> tuple[str, str]:
    """Return the whole lines of a blob that is the start of a file, and the file's encoding; else as `decode`."""
    lines = blob.content[: blob.content.rfind(b"\n") + 1] or blob.content
    name = encoding_of(replace(blob, content=lines)) if encoding == "auto" else encoding
    guessed = encoding == "auto" and not name.startswith("utf-")
    text = _decode_as(blob.content, blob.file, name, errors="replace" if guessed else "strict", is_start=True)
    return text[: text.rfind("\n") + 1] or text, name


def encoding_of(blob: Blob) -> str:
    """Return the encoding that a blob's bytes look like: "utf-...", or one of one byte a letter.

    Raises:
        DataError: it is not text.
    """
    content = blob.content
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), "") or _wide(content)
    if marked:
        return marked
    with suppress(UnicodeDecodeError):
        content.decode("utf-8")
        return "utf-8"
    if sum(content.count(byte) for byte in range(9)) > 0.01 * len(content):
        raise DataError("this is not a text file", where=Where(blob.file), fix=SUPPORTED)
    western = "cp1252" if any(0x80 <= byte <= 0x9F for byte in set(content)) else "latin-1"
    return western if _is_western(content) else _detect(content) or western


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SUPPORTED = "tunesmith reads CSV, TSV, JSON, JSONL, Parquet, Excel (.xlsx) and .txt, also packed as .gz, .zip or .zst"


def _decode_as(content: bytes, file: str, encoding: str, *, errors: str = "strict", is_start: bool = False) -> str:
    """Return content as text; of the start of a file, a letter that is cut off at the end is left out."""
    try:
        return codecs.getincrementaldecoder(encoding)(errors).decode(content, not is_start)
    except LookupError:
        raise DataError(
            f'there is no encoding "{encoding}"', fix="for example utf-8, cp1252, latin-1, utf-16"
        ) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"a byte (0x{content[error.start]:02x}) is not {encoding}",
            where=Where(file, line),
            fix="--set data.encoding=auto",
        ) from None


def _wide(content: bytes) -> str:
    """Return the UTF-16 flavour of text without a byte-order mark, or ""."""
    head = content[:4096]
    if len(head) < 4:
        return ""
    if head[1::2].count(0) > 0.4 * len(head[1::2]):
        return "utf-16-le"
    return "utf-16-be" if head[::2].count(0) > 0.4 * len(head[::2]) else ""


def _is_western(content: bytes) -> bool:
    """Whether the bytes beyond ASCII are few: Western European text, where charset guessing is at its worst."""
    return sum(byte > 0x7F for byte in content[:65536]) < 0.15 * min(len(content), 65536)


def _detect(content: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(content[:65536]).best()
    return best.encoding if best else ""


def expand(path: str, *, more: Callable[[], Collection[str]] = tuple) -> dict[str, list[Path]]:
    """Return the files of a folder by split ("train" / "dev" / "test"); a folder of plain files is all "train".

    Args:
        path: the folder.
        more: gives further endings of names, looked for where there are none of the usual ones.

    Raises:
        DataError: there is nothing to read in it.
    """
    folder = Path(path)
    inside = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith((".", "_")))
    inside = [p for p in inside if not p.name.lower().startswith("readme")]
    files = [p for p in inside if suffix_of(p.name) in SUFFIXES]
    if not files:
        files = [p for p in inside if suffix_of(p.name) in more()]
    found: dict[str, list[Path]] = {}
    for file in files:
        split = split_of(file.name)
        if split:
            found.setdefault(split, []).append(file)
    if "train" in found:
        return found
    if files:
        return {"train": files}
    raise DataError("there is nothing to read in this folder", where=Where(path), fix=SUPPORTED)


SUFFIXES = (".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".txt", ".zip", "")


def suffix_of(name: str) -> str:
    """Return the lower-case extension below .gz / .zst."""
    lower = name.lower()
    for packed in (".gz", ".zst"):
        lower = lower.removesuffix(packed)
    return Path(lower).suffix


def split_of(name: str) -> str:
    """Return "train", "dev" or "test" if a file or folder name begins with such a word, else ""."""
    lower = name.lower()
    for split, words in PREFIXES.items():
        for word in words:
            if lower.startswith(word) and not lower[len(word) : len(word) + 1].isalpha():
                return split
    return ""


def class_folders(folder: Path) -> list[Path]:
    """Return the subfolders that hold .txt files: one class each."""
    return [p for p in sorted(folder.iterdir()) if p.is_dir() and next(p.glob("*.txt"), None) is not None]


def tables_in(folder: Path) -> list[Path]:
    """Return the files of a folder that hold tables."""
    kinds = set(SUFFIXES) - {".txt", ".zip", ""}
    return [p for p in sorted(folder.iterdir()) if p.is_file() and suffix_of(p.name) in kinds]


def _neighbour(file: Path) -> str:
    parent = file.parent
    if not parent.is_dir():
        return f'the folder "{parent}" is not there either'
    names = sorted(p.name for p in parent.iterdir() if not p.name.startswith("."))
    return did_you_mean(file.name, names) or (
        f"files there: {', '.join(names[:8])}" if names else "the folder is empty"
    )


def shown_names(paths: Sequence[Path]) -> str:
    """Return file names as one short list."""
    return ", ".join(p.name for p in paths[:5]) + (" ..." if len(paths) > 5 else "")
