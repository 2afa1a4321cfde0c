"""What we want: the spec language, its arithmetic, and the shipped specs."""
