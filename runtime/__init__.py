"""How it is made: data, mixture order, model, numerics, training."""
