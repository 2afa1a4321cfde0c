"""Families of problems, a file for each topic; `runtime.synth.catalogue` lists them."""
