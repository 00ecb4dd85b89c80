"""Getting a known data set: from its address or from files at hand, to a folder of columns."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from xgraph.data.known.archives import hash_of, hashes_of
from xgraph.data.known.download import download
from xgraph.data.known.folder import refuse_existing, whole_folder, write_about, write_content
from xgraph.data.known.record import Content, Known
from xgraph.data.known.sets import KNOWN
from xgraph.diagnostics import DiagnosticError, did_you_mean, fail


def get(
    name: str,
    out: Path,
    source: Path | None = None,
    progress: bool = False,
    *,
    known: Mapping[str, Known] = KNOWN,
    cache: Path | None = None,
) -> Path:
    """Write the data set `name` to the folder `out`, from files in `source` or by downloading.

    Downloads are kept in `cache`, or where XGRAPH_CACHE says, or in the user's cache.
    """
    if name not in known:
        near = did_you_mean(name, known) or f"the known ones are {', '.join(known)}"
        raise fail("unknown-dataset", f"no data set is known as `{name}`", help=near)
    record = known[name]
    refuse_existing(out)
    if source is None:
        _from_address(record, out, cache, progress)
    else:
        _from_folder(record, out, source)
    return out


def _from_address(known: Known, out: Path, cache: Path | None, progress: bool) -> None:
    files = download(known, cache, progress)
    try:
        _write(known, out, files, known.read(known, files), _hashes(known))
    except DiagnosticError as error:
        if any(d.id == "damaged-file" for d in error.diagnostics):
            _forget(known, files)
        raise


def _forget(known: Known, files: Mapping[str, Path]) -> None:
    """Delete the damaged downloads that no hash would tell, so that the next try gets them anew."""
    for file in known.files:
        if file.hash is None:
            with suppress(OSError):
                files[file.name].unlink()


def _from_folder(known: Known, out: Path, source: Path) -> None:
    """The official files come first; parts do where these are not there."""
    official = {file.name: source / file.name for file in known.files}
    if all(path.is_file() for path in official.values()):
        _check_hashes(known, official)
        _write(known, out, official, known.read(known, official), _hashes(known))
        return
    parts = known.parts
    found = {n: source / n for n in (parts.names if parts else ()) if (source / n).is_file()}
    if parts is None or not found or (parts.needs_all and len(found) < len(parts.names)):
        raise _missing(known, source)
    _write(known, out, found, parts.read(known, found), hashes_of(found))


def _missing(known: Known, source: Path) -> DiagnosticError:
    wanted = ", ".join(file.name for file in known.files)
    parts = f"; or else {' or '.join(known.parts.names)}" if known.parts else ""
    what = "files are not all in this folder" if source.is_dir() else "folder is not there"
    return fail(
        "missing-file",
        f"the {what}",
        origin=str(source),
        help=f"looked for are {wanted}{parts}; without `--from`, they are downloaded",
    )


def _check_hashes(known: Known, files: Mapping[str, Path]) -> None:
    for file in known.files:
        if file.hash is None:
            continue
        algorithm, _, digest = file.hash.partition(":")
        if hash_of(files[file.name], algorithm) != digest:
            raise fail(
                "hash-mismatch",
                f"this is not the `{file.name}` of {known.name} that is known ({file.hash})",
                origin=str(files[file.name]),
                help=f"get it again from {file.url}",
            )


def _hashes(known: Known) -> dict[str, str]:
    """What vouches for each official file: its hash, or that of the content."""
    return {file.name: file.hash or f"manifest:{known.manifest}" for file in known.files}


def _write(
    known: Known,
    out: Path,
    files: Mapping[str, Path],
    content: Content,
    hashes: Mapping[str, str],
) -> None:
    with whole_folder(out) as folder:
        splits = write_content(folder, content)
        about: dict[str, Any] = {
            "name": known.name,
            "title": known.title,
            "source": known.home,
            "licence": known.licence,
            "from": {name: hashes[name] for name in files},
            "splits": splits,
            **content.facts,
        }
        write_about(folder, about)
