"""What a study found: its scores out of the ledger, and its claims judged by them."""
