"""Training, evaluation, cross-validation and probes of a network on data."""
