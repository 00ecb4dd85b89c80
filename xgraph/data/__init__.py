"""Data: known data sets, and the folders of columns that they are written to."""
