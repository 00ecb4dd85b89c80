"""The same rows from every kind of place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xgraph.data import Data, open_data
from xgraph.diagnostics import DiagnosticError

IMAGES = np.arange(6 * 2 * 3 * 4, dtype=np.uint8).reshape(6, 2, 3, 4)
LABELS = np.array([0, 1, 2, 0, 1, 2])
WAVES = [np.arange(n, dtype=np.float32) for n in (3, 5, 1, 2, 4, 6)]


def _npy(path: Path) -> Path:
    for name, part in (("train", slice(0, 4)), ("test", slice(4, 6))):
        (path / name).mkdir()
        np.save(path / name / "image.npy", IMAGES[part])
        np.save(path / name / "label.npy", LABELS[part])
        lengths = [len(wave) for wave in WAVES[part]]
        np.save(path / name / "wave.npy", np.concatenate(WAVES[part]))
        np.save(path / name / "wave.offsets.npy", np.cumsum([0, *lengths]))
    return path


def _columns(part: slice) -> dict[str, Any]:
    waves = WAVES[part]
    offsets = np.cumsum([0, *map(len, waves)])
    return {
        "image": IMAGES[part], "label": LABELS[part],
        "wave": np.concatenate(waves), "wave.offsets": offsets,
    }  # fmt: skip


def _npz_folder(path: Path) -> Path:
    np.savez(path / "train.npz", **_columns(slice(0, 4)))
    np.savez(path / "test.npz", **_columns(slice(4, 6)))
    return path


def _npz_file(path: Path) -> Path:
    both = {"train": _columns(slice(0, 4)), "test": _columns(slice(4, 6))}
    arrays = {f"{split}/{k}": v for split, held in both.items() for k, v in held.items()}
    np.savez(path / "all.npz", **arrays)
    return path / "all.npz"


def _table(part: slice) -> Any:
    from datasets import Array3D, Dataset, Features, List, Value

    features = Features(
        {"image": Array3D((2, 3, 4), "uint8"), "label": Value("int64"),
         "wave": List(Value("float32")), "name": Value("string")}
    )  # fmt: skip
    rows = {
        "image": list(IMAGES[part]), "label": LABELS[part].tolist(),
        "wave": [wave.tolist() for wave in WAVES[part]], "name": ["x"] * len(LABELS[part]),
    }  # fmt: skip
    return Dataset.from_dict(rows, features=features)


def _hugging_face(path: Path) -> Path:
    from datasets import DatasetDict

    tables = {"train": _table(slice(0, 4)), "test": _table(slice(4, 6))}
    DatasetDict(tables).save_to_disk(str(path / "hf"))
    return path / "hf"


def _parquet(path: Path) -> Path:
    _table(slice(0, 2)).to_parquet(str(path / "train-00000-of-00002.parquet"))
    _table(slice(2, 4)).to_parquet(str(path / "train-00001-of-00002.parquet"))
    _table(slice(4, 6)).to_parquet(str(path / "test.parquet"))
    return path


FUNCTION = """
import numpy as np

IMAGES = np.arange(6 * 2 * 3 * 4, dtype=np.uint8).reshape(6, 2, 3, 4)
LABELS = [0, 1, 2, 0, 1, 2]
WAVES = [np.arange(n, dtype=np.float32) for n in (3, 5, 1, 2, 4, 6)]


class Rows:
    def __init__(self, start, stop):
        self.rows = range(start, stop)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        row = self.rows[i]
        return {"image": IMAGES[row], "label": LABELS[row], "wave": WAVES[row]}


def rows(split):
    return {"train": Rows(0, 4), "test": Rows(4, 6)}.get(split)
"""


def _function(path: Path) -> str:
    (path / "own_rows.py").write_text(FUNCTION)
    return "own_rows:rows"


@pytest.mark.parametrize(
    "make",
    [_npy, _npz_folder, _npz_file, _hugging_face, _parquet, _function],
    ids=lambda f: f.__name__,
)
def test_every_source_gives_the_same(
    make: Callable[[Path], Path | str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if make in (_hugging_face, _parquet):
        pytest.importorskip("datasets")
    monkeypatch.syspath_prepend(tmp_path)
    data = open_data(make(tmp_path))
    assert set(data.splits) == {"train", "test"}
    _same(data)


@pytest.mark.parametrize(
    "names", [("train0", "train1", "test0"), ("train_a", "training-b", "test[0]")]
)
def test_files_of_a_split_begin_with_its_name(names: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for name, part in zip(names, (slice(0, 2), slice(2, 4), slice(4, 6)), strict=True):
        _table(part).to_parquet(str(tmp_path / f"{name}.parquet"))
    _same(open_data(tmp_path))


@pytest.mark.parametrize(
    ("first", "strange"),
    [("train", "trainer"), ("train", "train.old"), ("a-test", "a-train"), ("Test", "Train")],
)
def test_files_that_say_no_split(first: str, strange: str, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for name in (first, strange):
        _table(slice(0, 2)).to_parquet(str(tmp_path / f"{name}.parquet"))
    with pytest.raises(DiagnosticError, match=r"\.parquet` does not say which split"):
        open_data(tmp_path)


def _same(data: Data) -> None:
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (4, 2)
    rows = np.array([2, 0, 1])
    assert np.array_equal(train.take("image", rows), IMAGES[[2, 0, 1]])
    assert np.array_equal(test.whole("label"), [1, 2])
    waves = train.take("wave", rows)
    assert waves.shape == (3, 5)
    assert np.array_equal(waves[1], [0, 1, 2, 0, 0])
    assert np.array_equal(train.lengths("wave", rows), [1, 3, 5])
    assert np.array_equal(train.lengths("wave", np.array([3, 3])), [2, 2])
    assert train.lengths("label", rows) is None
    assert np.array_equal(train.part(np.array([3, 1])).take("image", np.array([0])), IMAGES[[3]])


def test_npy_is_mapped_not_read(tmp_path: Path) -> None:
    column = open_data(_npy(tmp_path)).split("train").columns["image"]
    assert isinstance(column.array, np.memmap)  # type: ignore[attr-defined]


def test_a_folder_of_one_split(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", IMAGES)
    np.save(tmp_path / "label.npy", LABELS)
    assert len(open_data(tmp_path).training) == 6


def _refused(where: Path | str) -> str:
    with pytest.raises(DiagnosticError) as raised:
        open_data(where)
    return str(raised.value)


def test_what_is_no_data(tmp_path: Path) -> None:
    assert "there is no such data" in _refused(tmp_path / "no")
    assert "no data was found here" in _refused(tmp_path)
    (tmp_path / "train").mkdir()
    assert "`train` has no columns" in _refused(tmp_path)
    np.save(tmp_path / "train" / "image.npy", IMAGES)
    np.save(tmp_path / "train" / "label.npy", LABELS[:5])
    assert "the columns of `train` differ in their rows: `image` has 6, `label` has 5" in _refused(
        tmp_path
    )
    for name in ("image", "label"):
        np.save(tmp_path / "train" / f"{name}.npy", IMAGES[:0])
    assert "error[empty-split]: `train` has no rows" in _refused(tmp_path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    path = tmp_path / "train" / "image.npy"
    path.write_bytes(b"nothing")
    assert "this is no array of numpy" in _refused(tmp_path)
    np.save(path, IMAGES)
    path.write_bytes(path.read_bytes()[:-10])
    assert "it cannot be read" in _refused(tmp_path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "Python objects, which are not read" in _refused(tmp_path)
    np.save(path, np.array(["a"]))
    assert "its elements are <U1, and numbers are wanted" in _refused(tmp_path)


@pytest.mark.parametrize(
    "offsets", [[0, 3], [1, 3, 6], [0, 4, 3, 6], [[0, 6]], [0.0, 6.0]], ids=str
)
def test_offsets_that_do_not_fit(tmp_path: Path, offsets: list[Any]) -> None:
    (tmp_path / "train").mkdir()
    np.save(tmp_path / "train" / "wave.npy", np.arange(6))
    np.save(tmp_path / "train" / "wave.offsets.npy", np.array(offsets))
    assert "offsets" in _refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def rows(split): return 1 / 0", "ZeroDivisionError"),
        ("def rows(split): return [3]", "dicts are wanted"),
        ("def rows(split): return []", "has no rows"),
        ("def rows(split): return None", "no data was found"),
        ("def other(split): pass", "has no attribute"),
        ("x = (", "SyntaxError"),
    ],
)
def test_functions_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    name = f"failing_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert told in _refused(f"{name}:rows")


def test_one_row_of_another_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd_rows.py").write_text(
        "import numpy as np\ndef data(split):\n"
        "    return [{'x': np.ones(3 if i == 7 else 4, 'f4')} for i in range(9)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    train = open_data("odd_rows:data").split("train")
    assert train.take("x", np.arange(7)).shape == (7, 4)
    with pytest.raises(DiagnosticError, match="some have another shape"):
        train.take("x", np.arange(6, 9))
