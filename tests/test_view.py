"""What a notebook shows."""

from __future__ import annotations

import pytest

from xgraph import lower, parse
from xgraph.compare import Difference
from xgraph.space import Space
from xgraph.view import difference_html, graph_html, space_html

NETWORK = """network pair
modality image: [3, 8, 8] with informativeness = 0.5
modality words: [16]
superlayer a(image) { c: conv(4, 3) -> relu; globalavgpool }
superlayer b(words) { linear(4) }
connect b -> a by mul
output y = a
"""


def test_graph_is_a_table_of_its_parts() -> None:
    html = graph_html(parse(NETWORK))
    for text in (
        "network pair",
        "superlayer a",
        "[N, 4, 8, 8]",
        "b -&gt; a",
        "informativeness 0.5",
    ):
        assert text in html
    assert "<td style='text-align:right'>112</td>" in html  # 3 * 4 * 9 weights and 4 biases


def test_graph_is_drawn() -> None:
    html = graph_html(parse(NETWORK))
    assert html.count("<svg") == 1
    assert "<script" not in html


def test_without_what_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xgraph.view.find_spec", lambda name: None)
    html = graph_html(parse(NETWORK))
    assert "<svg" not in html
    assert "xgraph[draw]" in html
    assert "<table>" in html


def test_space_and_difference_show_themselves() -> None:
    space = Space.load(NETWORK.replace("linear(4)", "linear(choice(4, 8))"))
    assert "choice(4, 8)" in space_html(space)
    found = Difference(parse(NETWORK), parse(NETWORK.replace("by mul", "by add")))
    html = difference_html(found)
    assert html.count("<svg") == 1
    assert "by mul" in html


def test_tensor_graph_is_its_dump() -> None:
    html = graph_html(lower(parse(NETWORK)))
    assert html.startswith("<pre>graph pair tensor")


def test_ipython_shows_tables_and_diagnostics(capsys: object) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    from xgraph.view import install

    shell = InteractiveShell.instance()
    install()
    shell.push({"graph": parse(NETWORK)})
    shown, _ = shell.display_formatter.format(shell.user_ns["graph"])
    assert "<table>" in shown["text/html"]
    assert shown["text/plain"].lstrip().startswith("network pair")
    shell.run_cell(
        "import xgraph; xgraph.parse('network a\\nmodality x: [3]\\noutput y = x -> rellu')"
    )
    printed = capsys.readouterr().out  # type: ignore[attr-defined]
    assert "did you mean `relu`?" in printed
    assert "Traceback" not in printed
