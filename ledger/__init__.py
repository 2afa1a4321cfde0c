"""What happened: entries, their digests, recording and verdicts."""
