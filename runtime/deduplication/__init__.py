"""Deduplication: finding the documents of the sources that are kept once."""
