"""The `xgraph` command: reads flags, calls the driver, prints. The only room that prints or exits.

Exit codes: 0 done, 1 the input has errors, 2 wrong command line, 3 bug in xgraph.
"""

from __future__ import annotations

import click

from xgraph import __version__
from xgraph.cli import (
    data,
    evaluating,
    explaining,
    networks,
    passes,
    pictures,
    profiling,
    recipes,
    refining,
    searching,
    serving,
    spaces,
    speed,
    training,
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xgraph")
def main() -> None:
    """xgraph compiles cross-modal networks written in .xg to PyTorch and ONNX.

    \b
    xgraph check net.xg                    every mistake, with its place
    xgraph show net.xg                     shapes, parameters, MACs
    xgraph draw net.xg -o net.svg          a picture, or a page (.html)
    xgraph compile net.xg --to onnx        a model for ONNX Runtime
    xgraph run net.xg --input image=x.npy  outputs for inputs
    xgraph profile net.xg                  where its time goes
    xgraph apply PIPELINE net.xg           a network made by passes
    xgraph diff a.xg b.xg                  what differs
    xgraph sample space.xg -n 100 -o DIR   networks of a search space
    xgraph train net.xg --data D -o RUN    trained weights, metrics, a model
    xgraph eval net.xg --weights W --data D
    xgraph explain net.xg --weights W --data D  routes, gates, connections
    xgraph search space.xg --data D -o RUN the best networks of a space
    xgraph measure net.xg --data D -o OUT  how informative each modality is
    xgraph refine out.xg --data D -o RUN   weights of connections that climb
    xgraph bench net.xg                    how fast it runs, and the alternatives
    xgraph tune                            what this machine is fast at
    xgraph serve RUNS                      trainings and searches in the browser
    xgraph data get mnist                  a known data set

    A FILE of `-` is the standard input. Shell completion: put
    `eval "$(_XGRAPH_COMPLETE=bash_source xgraph)"` into ~/.bashrc (or zsh_source, fish_source).
    """


for _command in (
    networks.check_, networks.fmt, networks.show, networks.compile_, networks.run,
    profiling.profile, pictures.draw,
    passes.apply_, passes.passes_, passes.places_, passes.diff_,
    spaces.sample, spaces.space_,
    training.train, evaluating.eval_, evaluating.crossval, evaluating.probe_, recipes.recipes,
    explaining.explain,
    searching.search, refining.measure_, refining.refine_,
    speed.bench, speed.tune, serving.serve_,
    data.data,
):  # fmt: skip
    main.add_command(_command)
