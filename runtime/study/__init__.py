"""Studies: many experiments, whose shared stages are trained once."""
