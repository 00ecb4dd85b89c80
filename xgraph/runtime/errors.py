"""What ONNX Runtime and PyTorch say when they fail, in plain words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from xgraph.diagnostics import DiagnosticError, fail
from xgraph.runtime.shapes import Array, Signature, batch_of, rows_of, sizes_of

_SHORT = re.compile(
    r"bad.?alloc|failed to allocate|unable to allocate|can't allocate memory|out of memory"
    r"|ALLOC_FAILED",
    re.IGNORECASE,
)
_ASKED = re.compile(r"(?:buffer of size|tried to allocate) (\d+)")


def reason(error: Exception) -> str:
    """ONNX Runtime's message without its codes and the places in its own source."""
    if isinstance(error, UnicodeDecodeError):
        return "a text in it is not UTF-8"
    text = (str(error).splitlines() or [""])[0].removeprefix("Error in execution: ")
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^Non-zero status code .*? Name:'(.*?)' Status Message: ", r"at `\1`: ", text)
    text = re.sub(r"^(at `.*?`: )?\S+\.(?:cc|h):\d+ .*?\)\s*(?:const )?", r"\1", text)
    text = re.sub(
        r"Shape mismatch attempting to re-use buffer. (\{.*?\} != \{.*?\}).*",
        r"the model declares shapes that its values do not have: \1",
        text,
    )
    text = re.sub(
        r"^.*output OrtValue provided for output '(.*?)' .*? has shape \{(.*?)\} but the computed"
        r" output shape for this run is \{(.*?)\}.*",
        r"the model declares output `\1` to have shape [\2], and it came out with [\3]",
        text,
    )
    return text.rstrip(". ") or type(error).__name__


def out_of_memory(error: Exception) -> bool:
    """Whether what failed was short of memory, on whichever device."""
    return isinstance(error, MemoryError) or _SHORT.search(str(error)) is not None


def does_not_fit(
    error: str,
    run: Callable[[Mapping[str, Array]], object],
    inputs: Mapping[str, Array],
    wanted: Signature,
    origin: str,
) -> DiagnosticError:
    """The diagnostic of a batch that memory did not hold, as `error` said.

    Which one it holds is found by halving: `run` gets fewer and fewer rows. Call it once the
    error itself is gone, for that may hold on to memory.
    """
    batch = sizes_of(inputs, wanted).get(batch_of(wanted) or "", 0)
    if not batch:
        return fail(
            "out-of-memory", "these inputs do not fit in memory", origin=origin,
            help="give less at a time",
        )  # fmt: skip
    told = f"a batch of {batch} does not fit in memory"
    advice = "use a smaller network, or a machine with more memory"
    for rows in _halves(batch, error):
        try:
            run(rows_of(inputs, wanted, rows))
        except Exception as again:  # ONNX Runtime's have no common base
            if out_of_memory(again):
                if rows == 1:
                    told += ", nor does any half of it"
                continue
            advice = "give fewer rows at a time"
        else:
            told += f"; {rows} fit{'s' * (rows == 1)}"
            advice = f"give as many at a time; `--batch {rows}`, where a command has it"
        break
    return fail("out-of-memory", told, origin=origin, help=advice)


@contextmanager
def measuring(batch: int, origin: str) -> Iterator[None]:
    """What else is run on so many samples for its time: `DiagnosticError` where memory is short."""
    try:
        yield
    except DiagnosticError:
        raise
    except Exception as error:  # ONNX Runtime's and PyTorch's have no common base
        if not out_of_memory(error):
            raise
        raise fail(
            "out-of-memory", f"a batch of {batch} does not fit in memory", origin=origin,
            help="measure a smaller one, with `--batch`",
        ) from None  # fmt: skip


def _halves(batch: int, error: str) -> list[int]:
    """The batches to try. Those for which the one buffer that could not be had would take more
    than half of what there is are left out: an operating system may promise memory and then end the
    process that takes it."""
    asked = _ASKED.search(error)
    halves = [batch >> n for n in range(1, batch.bit_length())]
    if asked is None or (free := _free()) is None:
        return halves
    return [rows for rows in halves if rows == 1 or int(asked[1]) * rows // batch <= free // 2]


def _free() -> int | None:
    """Bytes of memory that nobody uses, where the system tells."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
