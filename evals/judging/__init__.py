"""Win-rates: two sets of replies to the same prompts, compared pair by pair."""
