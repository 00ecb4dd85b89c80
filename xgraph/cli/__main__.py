"""`python -m xgraph.cli`"""

from xgraph.cli import main

main(prog_name="xgraph")
