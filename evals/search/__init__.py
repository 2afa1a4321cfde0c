"""Searching for mixtures: what is tried next, by what the ledger has."""
