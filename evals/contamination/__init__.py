"""Which pinned questions occur in the text that was trained on."""
