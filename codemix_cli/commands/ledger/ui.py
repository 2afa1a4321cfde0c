"""`codemix ledger ui`."""

from __future__ import annotations

import signal
import webbrowser
from typing import Any

import click

from codemix_cli.output import Command, Result, note
from codemix_cli.progress import open_meter
from codemix_cli.reading import complete_entry, ledger_option, workspace_here


@click.command(cls=Command, example="codemix ledger ui")
@click.argument("entry", required=False, shell_complete=complete_entry)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="Of this machine; by default any that is free.",
)
@click.option("--no-browser", is_flag=True, help="Print the address, open nothing.")
@ledger_option
def command(
    entry: str | None, port: int | None, no_browser: bool, ledger: str | None
) -> Result:
    """Open MLflow's pages on the right store.

    For the workspace's file, or another database, MLflow is started on this machine
    alone and stopped by Ctrl-C; a server's address is opened as it is. With ENTRY, on
    the page of its run.
    """
    from ledger.documents import run_of
    from ledger.store import Ledger
    from ledger.ui import START_SECONDS, open_ui, page_of

    workspace = workspace_here()
    found = entry and run_of(Ledger.open(workspace).find(entry))
    with open_meter() as meter:

        def listen(seconds: float) -> None:
            meter.show("start", int(seconds), START_SECONDS, "MLflow")

        with open_ui(workspace, ledger, port=port, listen=listen) as server:
            page = page_of(server.url, found or None)
            if not no_browser:
                webbrowser.open(page)
            if server.process is not None:
                note(f"{page}\nCtrl-C stops it")
                _wait_for_stop(server.process)
    told = "stopped  " if server.process is not None else ""
    return Result(
        data={"url": page, "was_started": server.process is not None},
        text=f"{told}{page}",
    )


def _wait_for_stop(process: Any) -> None:
    """Wait until somebody has seen enough, or the server ends by itself."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
