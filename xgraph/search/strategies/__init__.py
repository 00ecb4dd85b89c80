"""How a space is searched: one strategy a file."""
