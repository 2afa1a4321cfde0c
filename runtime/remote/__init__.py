"""Data from elsewhere: what is there, and how its bytes come here."""
