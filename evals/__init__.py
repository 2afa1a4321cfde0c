"""How good it is: scoring a checkpoint."""
