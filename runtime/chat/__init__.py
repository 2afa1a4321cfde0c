"""Asking a model behind an address, and keeping what it says by what was asked."""
