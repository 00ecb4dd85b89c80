"""How fast a network runs, as xgraph compiles it and beside the alternatives, in one process."""
