"""Doing the jobs of a pass on Apache Beam."""
