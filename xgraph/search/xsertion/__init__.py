"""Xsertion on data: how informative each modality is, and which weights connections get."""
