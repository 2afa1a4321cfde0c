"""How sure a score is, and what a difference of two is worth: functions of numbers."""
