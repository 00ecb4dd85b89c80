"""What the server of a folder shows, and what it refuses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from xgraph.claim import claimed
from xgraph.cli import main
from xgraph.serve import found
from xgraph.serve.found import WIDE, Place
from xgraph.serve.runs import Runs

if TYPE_CHECKING:
    from conftest import Server, Serving

NET = "network n\nmodality x: [4]\nsuperlayer net(x) { linear(2) }\noutput y = net\n"
SPACE = NET.replace("linear(2)", "linear(choice(2, 3))")
ABOUT = json.dumps({"finished": False, "epochs": 3, "data": "d", "seed": 0})
TABLE = "epoch,stage,step,lr,train/loss,val/loss,val/accuracy\n1,1,20,0.1,2.5,2.25,0.5\n"


def trial(number: int, **changes: Any) -> str:
    told = {
        "number": number, "phase": "search", "encoding": "e", "key": f"k{number}", "seed": 0,
        "score": 0.5, "metrics": {}, "params": 10, "macs": 1, "seconds": 1.0, "together": 1,
    }  # fmt: skip
    return json.dumps({"op_code": 4, "user_attrs": told | changes}) + "\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


# ------------------------------------------------------------------------------------ the refusals


@pytest.fixture(scope="module")
def secrets(place: Path, server: Server) -> None:
    """Things outside, and ways that lead to them."""
    outside = place.parent
    (outside / "secret.xg").write_text("secret\n")
    (outside / "report.html").write_text("secret")
    (place / "link.xg").symlink_to(outside / "secret.xg")
    (place / "out").symlink_to(outside)
    run = write(place / "linked", run__json=ABOUT)
    (run / "recipe.yaml").symlink_to(outside / "secret.xg")
    search = write(place / "links", search__json="{}")
    (search / "report.html").symlink_to(outside / "report.html")
    os.mkfifo(place / "pipe.xg")
    os.mkfifo(search / "journal.log")


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize("path", [
    "/network/../secret.xg", "/network/%2e%2e/secret.xg", "/network/..%2fsecret.xg",
    "/network/%2Ftmp", "/network//etc/passwd", "/network/link.xg", "/network/out/secret.xg",
    "/network/pipe.xg", "/network/%00", "/network/a%00.xg", "/network/", "/network/" + "a" * 5000,
    "/report/..", "/report/links", "/report/out", "/data/..", "/data/out", "/data/%2e%2e%2f",
    "/static/..%2f..%2fapp.py", "/static/page.html", "/nothing",
])  # fmt: skip
def test_nothing_outside_is_read(server: Server, path: str) -> None:
    answer, text = server.ask(path)
    assert answer.status == 404
    assert "secret\n" not in text


@pytest.mark.usefixtures("secrets")
def test_links_within_a_run_are_not_followed_outside(server: Server) -> None:
    for name, file in {"linked": "recipe.yaml", "links": "journal.log"}.items():
        answer, text = server.ask(f"/data/{name}")
        assert answer.status == 200
        assert any(told.startswith(file) for told in json.loads(text)["problems"])
        assert "secret" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/data", "/nothing"])
def test_nothing_is_written(server: Server, path: str, method: str) -> None:
    assert server.ask(path, method)[0].status == 405


@pytest.mark.parametrize("hosts", [
    (), ("evil.example",), ("evil.example:{port}",), ("127.0.0.1",), ("127.0.0.1:1",), ("",),
    ("localhost:{port}.evil.example",), ("127.0.0.1:{port}", "evil.example"),
])  # fmt: skip
def test_other_names_of_this_machine(server: Server, hosts: tuple[str, ...]) -> None:
    answer, _ = server.ask("/data", hosts=tuple(host.format(port=server.port) for host in hosts))
    assert answer.status in (400, 403)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_own_names(server: Server, name: str) -> None:
    host = f"{name}:{server.port}"
    assert server.ask("/data", hosts=(host,), Origin=f"http://{host}")[0].status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1"])
def test_other_pages(server: Server, origin: str) -> None:
    assert server.ask("/data", Origin=origin)[0].status == 403


def test_every_answer_says_what_a_page_may_do(server: Server, place: Path) -> None:
    write(place / "headers", a__xg=NET, run__json="")
    for path in ("/", "/data", "/data/headers", "/nothing", "/static/serve.js",
                 "/network/headers/a.xg"):  # fmt: skip
        answer, _ = server.ask(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert "sandbox" in server.ask("/network/headers/a.xg")[0].headers["content-security-policy"]


# ------------------------------------------------------------------------------- damaged and whole

DAMAGED: dict[str, dict[str, str]] = {
    "empty": {"run__json": ""},
    "half": {"run__json": ABOUT[:20], "metrics__csv": TABLE},
    "list": {"run__json": "[]"},
    "deep": {"run__json": "[" * 100_000},
    "types": {"run__json": '{"finished": "yes", "epochs": {}, "libraries": 3, "rows": [1]}'},
    "alone": {"run__json": ABOUT},
    "no_table": {"run__json": ABOUT, "metrics__csv": ""},
    "other_table": {"run__json": ABOUT, "metrics__csv": "a,b\n1,2\n"},
    "half_table": {"run__json": ABOUT, "metrics__csv": TABLE + "2,1\n3,1,x,nan,inf,,1e999,7,8\n"},
    "nul": {"run__json": ABOUT, "metrics__csv": "epoch\n\0\n"},
    "no_metrics": {"run__json": '{"finished": true}'},
    "odd_metrics": {"run__json": '{"finished": true}', "metrics__json": '{"test": {"metrics": 3}}'},
    "search": {"search__json": ""},
    "journal": {"search__json": "{}", "journal__log": trial(0) + "{}\nx\n[]\n" + trial(1)[:40]},
    "trials": {
        "search__json": "{}",
        "journal__log": trial(0, score="x", params=None) + trial(1, score=1e999) + '"user_attrs"\n'
        + trial(2, error=3) + trial(3, same_as="a") + '{"user_attrs": {"a": 1}}\n',
    },
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_folders(server: Server, place: Path, name: str) -> None:
    folder = place / "damaged" / name
    write(folder, **DAMAGED[name])
    answer, text = server.ask(f"/data/damaged/{name}")
    assert answer.status == 200
    told = json.loads(text, parse_constant=pytest.fail)
    assert told["problems"]
    assert told["state"] in ("interrupted", "damaged", "finished")
    assert server.ask(f"/run/damaged/{name}")[0].status == 200
    lines = json.loads(server.ask("/data")[1])["items"]
    assert f"damaged/{name}" in [line["name"] for line in lines]


@pytest.mark.parametrize("name", [
    "<img src=x onerror=alert(1)>", "a\"b'c&d", "\u0646\u0635\u202egx", "%2e%2e", "?#;",
    "\udcff\udcfe",
])  # fmt: skip
def test_names(server: Server, place: Path, name: str) -> None:
    (place / "names").mkdir(exist_ok=True)
    (place / "names" / f"{name}.xg").write_text(NET)
    address = f"/network/names/{quote(os.fsencode(name))}.xg"
    lines = json.loads(server.ask("/data")[1])["items"]
    (line,) = [line for line in lines if line["href"] == address]
    assert line["name"].isprintable()
    answer, text = server.ask(address)
    assert answer.status == 200
    assert 'id="sheet"' in text


def test_a_network_with_mistakes_and_a_space(server: Server, place: Path) -> None:
    write(place / "wrong", net__xg=NET.replace("[4]", "[0]"), space__xg=SPACE)
    answer, text = server.ask("/network/wrong/net.xg")
    assert answer.status == 422
    assert answer.headers["content-type"].startswith("text/plain")
    assert text.startswith("error[")
    answer, text = server.ask("/network/wrong/space.xg")
    assert answer.status == 200
    assert "choice(" in text


def test_a_training_that_runs_breaks_off_and_ends(server: Server, place: Path) -> None:
    folder = write(place / "run", run__json=ABOUT, metrics__csv=TABLE, recipe__yaml="epochs: 3\n",
                   net__xg=NET)  # fmt: skip

    def told() -> Any:
        return json.loads(server.ask("/data/run")[1])

    with claimed(folder):
        assert told()["state"] == "running"
    found = told()
    assert found["state"] == "interrupted"
    assert found["latest"] == [
        "epoch 1 of 3", "train/loss 2.5000", "val/loss 2.2500", "val/accuracy 0.5000",
    ]  # fmt: skip
    assert found["columns"]["val/loss"] == [2.25]
    assert found["networks"] == [{"name": "net.xg", "href": "/network/run/net.xg"}]
    assert found["problems"] == []
    (folder / "run.json").write_text(ABOUT.replace("false", "true"))
    (folder / "metrics.json").write_text('{"test": {"metrics": {"accuracy": 0.75}}}')
    assert told()["state"] == "finished"
    assert told()["test"] == [["accuracy", "0.75"]]


def test_a_search_is_read_as_it_grows(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", search__json='{"seed": 0}', recipe__yaml="", space__xg=SPACE)
    runs = Runs(Place(tmp_path))
    journal = folder / "journal.log"
    journal.write_text(trial(0, score=0.25) + trial(1, score=None, error="diverged")
                       + trial(2)[:30])  # fmt: skip
    told = runs.run("run")
    assert [row["number"] for row in told["trials"]] == [1, 0]
    assert told["trials"][0]["state"] == "failed: diverged"
    write(folder / "trials", **{"00002__xg": NET})
    with journal.open("a") as file:
        file.write(trial(2)[30:] + trial(3, key="k2", same_as=2, phase="random"))
    told = runs.run("run")
    assert told["count"] == 4
    assert told["curves"] == {"search": [0.25, 0.25, 0.5]}
    assert told["latest"] == ["4 trials", "best score 0.5000"]
    (best,) = told["best"]
    assert best["href"] == "/network/run/trials/00002.xg"
    assert (told["state"], told["report"], told["problems"]) == ("interrupted", None, [])
    (folder / "report.html").write_text("")
    assert runs.run("run")["state"] == "finished"
    with claimed(folder):
        assert runs.run("run")["state"] == "running"
    journal.write_text(trial(0))
    assert runs.run("run")["count"] == 1


def test_the_walk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/b/c", ".venv", "node_modules"):
        write(tmp_path / name, net__xg=NET)
    write(tmp_path / "run", run__json="{}", net__xg=NET)
    place = Place(tmp_path)
    paths = [item.path.relative_to(tmp_path).as_posix() for item in place.find().items]
    assert paths == ["run", "a/b/c/net.xg"]
    monkeypatch.setattr(found, "DEPTH", 2)
    assert [item.path.name for item in place.find().items] == ["run"]
    assert place.find().notes == ["folders more than 2 deep are not looked at"]
    monkeypatch.setattr(found, "ENTRIES", 4)
    assert place.find().notes == ["only the first 4 files and folders are looked at"]


# ------------------------------------------------------------------------------------- the command


def test_it_listens_here_alone_and_ends_quietly(tmp_path: Path, serving: Serving) -> None:
    with serving(tmp_path) as server:
        assert server.address.startswith("http://127.0.0.1:")
        assert json.loads(server.ask("/data")[1])["items"] == []
        taken = CliRunner().invoke(main, ["serve", str(tmp_path), "--port", str(server.port)])
        assert taken.exit_code == 1
        assert "error[no-port]: this port cannot be had" in taken.stderr
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", server.port)):  # noqa: PT011
            pass
        assert server.end() == (0, "")


def test_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("file", "nothing"):
        done = CliRunner().invoke(main, ["serve", str(tmp_path / name)])
        assert done.exit_code == 1
        assert done.stderr.startswith("error[no-folder]")


def test_the_server_does_not_load_pytorch() -> None:
    probe = "import sys, xgraph.serve.app; print({'torch', 'optuna', 'onnx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_odd_addresses_and_runs(server: Server, place: Path) -> None:
    """Each was once a traceback."""
    deep = '{"machine": ' + '{"a": ' * 900 + "1" + "}" * 900 + "}"
    write(place / "deep", run__json=deep)
    write(place / "good", run__json=ABOUT, metrics__csv=TABLE, recipe__yaml="epochs: 3\n",
          net__xg=NET)  # fmt: skip
    assert len(json.loads(server.ask("/data")[1])["items"]) >= 2
    assert server.ask("/data/deep")[0].status == 200
    assert server.ask("/data%2fgood")[0].status == 200


def test_a_folder_of_data_does_not_hide_runs(server: Server, place: Path) -> None:
    (place / "data").mkdir()
    for number in range(WIDE + 5):
        (place / "data" / f"{number}.npy").touch()
    write(place / "runs" / "a", run__json=ABOUT)
    told = json.loads(server.ask("/data")[1])
    assert "runs/a" in [item["name"] for item in told["items"]]
    assert told["notes"] == [f"only {WIDE:,} files of a folder are looked at"]
