"""A model ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, final

from xgraph.diagnostics import DiagnosticError, Report, did_you_mean, fail
from xgraph.runtime.bound import OnDevice
from xgraph.runtime.buckets import Buckets, check_buckets, sizes_in
from xgraph.runtime.chunks import Chunks, Plan, can_chunk, plan_of, told_plan
from xgraph.runtime.errors import does_not_fit, out_of_memory, reason
from xgraph.runtime.inputs import check_inputs
from xgraph.runtime.placement import Placement, placed
from xgraph.runtime.providers import PROVIDERS, Device, Opening, details, open_model
from xgraph.runtime.shapes import Array, Signature, described, listed, misfit, sizes_of

Found = TypeVar("Found")


@final
class Session:
    """A model ready to run on one device: a file, or the bytes of one.

    Of the CPU alone: `threads` for each operation (all cores without), `workers` parts of a batch
    at once, `chunk` samples of it at a time; without any of them, as the model says that it is best
    run. Of CUDA alone: `buckets` are sizes to which batches are filled up, so that a run of each is
    captured once and played again; `tf32` lets products round to 10 bits, which is faster.
    `notes` are warnings of what was done otherwise than asked for.
    """

    def __init__(
        self,
        model: Path | str | bytes,
        *,
        device: Device = "cpu",
        threads: int | None = None,
        workers: int | None = None,
        chunk: int | None = None,
        buckets: Sequence[int] = (),
        tf32: bool = False,
    ) -> None:
        self.device = device
        self.origin = "<model>" if isinstance(model, bytes) else str(model)
        self.notes = Report()
        sizes = sizes_in(buckets)
        for option, asked in (("buckets", sizes), ("tf32", tf32)):
            if asked and device == "cpu":
                raise fail("bad-option", f"`{option}` is for `cuda`", help="leave it out on `cpu`")
        self._model = None if device == "cpu" else model
        wanted = plan_of(device, threads, workers, chunk)
        self._open(model, Opening(device, threads, bool(tf32), bool(sizes)))
        self.plan = self._planned(wanted)
        if self.plan.threads != threads:
            self._open(model, replace(self._how, threads=self.plan.threads))
        self._chunks = Chunks(self.plan)
        if sizes:
            check_buckets(self.inputs, self.outputs, self.origin)
        self._on_device = (
            OnDevice(self._session, device, self._tensors, self.inputs, self.outputs,
                     Buckets(sizes, self.inputs, self.origin), self.notes)
            if device != "cpu" else None
        )  # fmt: skip

    @property
    def can_chunk(self) -> bool:
        """Whether a batch can run in parts."""
        return self.device == "cpu" and can_chunk(self.inputs, self.outputs)

    def _planned(self, asked: Plan | None) -> Plan:
        """What was asked for; if nothing, what the model says of itself."""
        fits = self.can_chunk
        if asked is not None and asked.parts and not fits:
            raise fail(
                "unfit-chunks", "this model cannot run a batch in parts: the batch is not the first"
                " axis of all its inputs and outputs", origin=self.origin,
                help="leave `workers` and `chunk` out",
            )  # fmt: skip
        if asked is not None:
            return asked
        told = told_plan(self.metadata) if self.device == "cpu" else Plan()
        return Plan() if told.parts and not fits else told

    def _open(self, model: Path | str | bytes, how: Opening) -> None:
        self._how = how
        self._session, self._printed = open_model(model, self.origin, how)
        self._describe()

    def _describe(self) -> None:
        """Learn what the model takes and gives, under the names it was written with."""
        try:
            renamed = self.metadata = self._session.get_modelmeta().custom_metadata_map
            outputs = {
                renamed.get(f"xgraph.output.{o.name}", o.name): o
                for o in self._session.get_outputs()
            }
            self.inputs: Signature = {v.name: described(v) for v in self._session.get_inputs()}
        except UnicodeDecodeError as error:
            told = f"ONNX Runtime cannot load the model: {reason(error)}"
            raise fail("bad-model", told, origin=self.origin) from None
        self._tensors = {name: o.name for name, o in outputs.items()}
        self.outputs: Signature = {name: described(o) for name, o in outputs.items()}

    # ------------------------------------------------------------------------------- running

    def run(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """The outputs named, or all of them, for `inputs`; mistakes in those are diagnostics."""
        checked = check_inputs(inputs, self.inputs, self.origin)
        if isinstance(outputs, str):
            outputs = [outputs]
        names = list(dict.fromkeys(self.outputs if outputs is None else outputs))
        for name in names:
            if name not in self._tensors:
                raise fail(
                    "unknown-output",
                    f"the model has no output `{name}`",
                    origin=self.origin,
                    help=did_you_mean(name, self._tensors) or listed(self._tensors),
                )
        if not names:
            return {}
        found = self._checked(lambda: self._run(checked, names), checked, names)
        if told := misfit(found, self.outputs, sizes_of(checked, self.inputs)):
            raise fail("bad-model", told, origin=self.origin, help="mend what the model declares")
        return found

    def prepared(self, inputs: Mapping[str, Array]) -> Callable[[], object]:
        """A run on these inputs, which are checked once: for timing. A device has them in its
        memory, and keeps the outputs there; on a CPU they are returned."""
        checked, names = check_inputs(inputs, self.inputs, self.origin), [*self.outputs]
        if self._on_device is not None:
            place = self._on_device.prepared
            return self._checked(lambda: place(checked, names), checked, names)
        return lambda: self._checked(lambda: self._run(checked, names), checked, names)

    def _checked(
        self, run: Callable[[], Found], inputs: Mapping[str, Array], names: list[str]
    ) -> Found:
        """What a run gives; `DiagnosticError` where it fails."""
        try:
            return run()
        except DiagnosticError:
            raise
        except Exception as error:  # ONNX Runtime's have no common base
            if not out_of_memory(error):
                told = f"the model did not run: {reason(error)}"
                raise fail("run-failed", told, origin=self.origin) from None
            # A GPU refuses what it has not got; a system may end the process instead.
            short = str(error) if self.device == "cpu" else ""
        raise does_not_fit(
            short, lambda fewer: self._run(fewer, names), inputs, self.inputs, self.origin
        )

    def _run(self, inputs: Mapping[str, Array], names: list[str]) -> dict[str, Array]:
        """One run on the device, of inputs that are checked."""
        if self._on_device is not None:
            return self._on_device.run(inputs, names)
        tensors = [self._tensors[name] for name in names]
        return self._chunks.run(
            lambda part: dict(zip(names, self._session.run(tensors, part), strict=True)), inputs
        )

    # --------------------------------------------------------------------------- looking at it

    def placement(self) -> Placement:
        """Which nodes run elsewhere than asked for, and what is copied between; `DiagnosticError`
        where ONNX Runtime is too old to say. To name copies it opens the model once more."""
        if self._model is None:
            return Placement()
        model = self._model
        return placed(
            self._session, PROVIDERS[self.device], self._printed, lambda: details(model, self._how)
        )

    def warnings(self) -> Report:
        """The notes, and what there is to say of the placement."""
        found = Report()
        try:
            fallback = self.placement().warning(self.origin)
        except DiagnosticError as error:
            fallback = replace(error.diagnostics[0], severity="warning")
        for note in (*([fallback] if fallback else []), *self.notes):
            found.add(note)
        return found
