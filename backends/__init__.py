"""Backends: what a tensor-level graph becomes. Each has one rule for every primitive op.

Importing this package brings no heavy library; a backend imports its own at the moment of use.
"""
