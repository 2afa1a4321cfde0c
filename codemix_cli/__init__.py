"""How we talk: commands, output, exit codes."""
