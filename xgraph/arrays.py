"""Arrays in and out of files: `.npy`, `.npz` and pictures."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np

from xgraph.diagnostics import Diagnostic, DiagnosticError, did_you_mean, fail
from xgraph.files import named, write_whole

Array: TypeAlias = "np.ndarray[Any, Any]"
Signature: TypeAlias = Mapping[str, tuple[str, tuple[int | str, ...]]]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def read_inputs(texts: Iterable[str], wanted: Signature, *, resize: bool) -> dict[str, Array]:
    """The arrays of `name=file` texts, or of `.npz` files that hold several by name.

    A picture becomes float32 in [0, 1], channels first, a batch of one; `resize` brings it to the
    size the network takes.
    """
    found: dict[str, Array] = {}
    mistakes: list[Diagnostic] = []
    for text in texts:
        try:
            for key, path in _entries(text).items():
                _check_name(key, found, wanted, text)
                found[key] = _read(path, key, wanted[key][1], resize=resize)
        except DiagnosticError as error:
            mistakes += error.diagnostics
    if mistakes:
        raise DiagnosticError(*mistakes)
    return found


def input_files(texts: Iterable[str]) -> list[Path]:
    """The files that `read_inputs` reads."""
    return [path for text in texts for path in _entries(text).values()]


def _entries(text: str) -> dict[str, Path]:
    """The files of a `name=file` text, or of an archive that holds several by name."""
    name, equals, file = text.partition("=")
    if equals:
        return {name: named(file, f"file of input `{name}`")}
    if not text.endswith(".npz"):
        raise fail(
            "bad-input",
            f"`{text}` is not of the form name=file",
            origin=f"--input {text}",
            help="for example `--input image=photo.png`, or an .npz file of arrays by name",
        )
    with _opened(Path(text)) as archive:
        return dict.fromkeys(archive.files, Path(text))


def _check_name(name: str, found: Mapping[str, Array], wanted: Signature, text: str) -> None:
    if name in found:
        raise fail("duplicate-name", f"input `{name}` is given twice", origin=f"--input {text}")
    if name not in wanted:
        raise fail(
            "unknown-input",
            f"the network has no input `{name}`",
            origin=f"--input {text}",
            help=did_you_mean(name, wanted)
            or "its inputs are " + ", ".join(f"`{n}`" for n in wanted),
        )


_KINDS = (b"\x93NUMPY", b"PK")


def _opened(path: Path) -> Any:
    """The array or archive in a file."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if not start:
            raise _unread(path, "the file is empty")
        if not start.startswith(_KINDS):
            advice = "`numpy.save` writes such files"
            raise _unread(path, "this is no .npy or .npz file", advice)
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise fail("missing-file", "there is no such file", origin=str(path)) from None
    except IsADirectoryError:
        raise fail("is-a-directory", "this is a directory, not a file", origin=str(path)) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _unread(path, f"it cannot be read: {reason}") from None
    except (ValueError, EOFError, BadZipFile) as error:
        raise _unread(path, _reason(error)) from None


def _unread(path: Path, message: str, advice: str | None = None) -> DiagnosticError:
    return fail("bad-input", message, origin=str(path), help=advice)


def _reason(error: Exception) -> str:
    """What is wrong with a file that begins as an array or archive."""
    if "allow_pickle" in str(error):
        return "it holds Python objects, which are never loaded"
    return "the file is damaged, or was cut short"


def _read(path: Path, name: str, dims: tuple[int | str, ...], *, resize: bool) -> Array:
    if path.suffix.lower() in PICTURES:
        return _picture(path, name, dims, resize=resize)
    loaded = _opened(path)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        if name not in loaded.files:
            held = ", ".join(f"`{n}`" for n in loaded.files)
            raise fail(
                "bad-input", f"it has no array `{name}`", origin=str(path), help=f"it has {held}"
            )
        try:
            return np.asarray(loaded[name])
        except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise _unread(path, f"array `{name}` cannot be read: {_reason(error)}") from None


def _picture(path: Path, name: str, dims: tuple[int | str, ...], *, resize: bool) -> Array:
    if len(dims) != 4 or dims[1] not in (1, 3):
        raise fail(
            "bad-input",
            f"input `{name}` is not a picture: it takes {_dims(dims)}",
            origin=str(path),
            help="give it an .npy file",
        )
    image = _open_picture(path, grey=dims[1] == 1)
    height, width = dims[2], dims[3]
    if isinstance(height, int) and isinstance(width, int) and image.size != (width, height):
        if not resize:
            raise fail(
                "input-shape",
                f"the picture is {image.size[0]} x {image.size[1]}, and input `{name}` takes"
                f" {width} x {height} pixels",
                origin=str(path),
                help="`--resize` brings it to that size",
            )
        image = _resized(image, (width, height))
    pixels = np.asarray(image, np.float32)
    if image.mode != "F":
        pixels = pixels / np.float32(255)
    if pixels.ndim == 2:
        channels_first = np.repeat(pixels[None], int(dims[1]), axis=0)
    else:
        channels_first = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(channels_first[None])


def _open_picture(path: Path, *, grey: bool) -> Any:
    """A picture of 8 bits (mode `L` or `RGB`), or of floats (`F`) where the file has finer ones."""
    from xgraph.driver import require

    require("PIL")
    from PIL import Image

    try:
        with Image.open(path) as opened:
            return _converted(opened, path, grey=grey)
    except FileNotFoundError:
        raise fail("missing-file", "there is no such file", origin=str(path)) from None
    except DiagnosticError:
        raise
    except Exception as error:  # Pillow raises many kinds on a damaged file
        raise fail("bad-input", f"not a picture: {error}", origin=str(path)) from None


def _converted(image: Any, path: Path, *, grey: bool) -> Any:
    from PIL import Image

    # Pillow before 11 reads grey PNGs of 16 bits in the mode of 32.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return Image.fromarray(np.asarray(image, np.float32) / np.float32(65535))
    if image.mode == "I":
        raise fail(
            "bad-input",
            "its pixels are integers of 32 bits, and it does not say which of them is white",
            origin=str(path),
            help="bring it to [0, 1] yourself, and give it as a float32 .npy file",
        )
    if image.mode == "F":
        return image.copy()
    return image.convert("L" if grey else "RGB")


def _resized(image: Any, size: tuple[int, int]) -> Any:
    """Another size, and no number beyond those of the picture: 8 bits are clipped by Pillow."""
    resized = image.resize(size)
    if image.mode != "F":
        return resized
    from PIL import Image

    return Image.fromarray(np.clip(np.asarray(resized), *image.getextrema()))


def _dims(dims: Iterable[int | str]) -> str:
    return f"[{', '.join(map(str, dims))}]"


def write_outputs(path: Path, outputs: Mapping[str, Array]) -> None:
    """An `.npz` of arrays by name, written whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **outputs)  # type: ignore[arg-type]
    write_whole(path, buffer.getvalue())


def _range(array: Array) -> str:
    finite = array[np.isfinite(array)].astype(np.float64)
    if not finite.size:
        return "no number is finite"
    told = f"from {finite.min():.6g} to {finite.max():.6g}, mean {finite.mean():.6g}"
    others = array.size - finite.size
    return f"{told}; {others} of {array.size} not finite" if others else told


def summarise(outputs: Mapping[str, Array]) -> str:
    """Shape, range and, for vectors, the largest entry of every output."""
    lines = []
    for name, array in outputs.items():
        lines.append(f"{name}  {array.dtype}{list(array.shape)}")
        lines.append(f"  {_range(array)}")
        if array.ndim == 2:
            top = ", ".join(f"{i} ({row[i]:.4g})" for row in array[:8] for i in [int(row.argmax())])
            lines.append(f"  largest entry of each sample: {top}{' ...' if len(array) > 8 else ''}")
    return "\n".join(lines)
