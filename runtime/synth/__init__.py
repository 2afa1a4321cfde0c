"""Synthetic code: Python problems with solutions and tests, each of them verified."""
