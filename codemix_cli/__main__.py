"""`python -m codemix_cli`: codemix by the interpreter that is at hand."""

from codemix_cli.main import cli

if __name__ == "__main__":
    cli(prog_name="codemix")
