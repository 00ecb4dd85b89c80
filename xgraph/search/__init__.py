"""Searches: of networks in a space, and of the numbers in a network, on data."""
