"""Searches for networks: what is tried, and what trainings of it tell."""
