"""What `pin` does for inputs that are elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.dvc_store import DvcStore
from runtime.inputs import Input, Located, download_folder, download_path
from runtime.progress import Listener
from runtime.remote.bring import Brought, RemoteInput, bring
from specs.errors import InputError, Problem
from specs.lock import LockedInput, Origin


def bring_inputs(
    inputs: Iterable[Input],
    store: DvcStore,
    before: Mapping[str, LockedInput],
    progress: Listener,
) -> dict[str, Brought]:
    """Fetch what comes from elsewhere and is not here.

    Raises:
        InputError: With everything that can't be had.
    """
    wanted, problems = [], []
    for one in inputs:
        path = download_path(one)
        if path is None:
            continue
        if store.imported_url(path) == one.uri:
            # Tracked by an import of DVC's own, as earlier versions did.
            if not (store.workspace / path).exists():
                try:
                    store.checkout(path)
                except InputError as error:
                    problems += _at(one.key, error)
            continue
        locked = before.get(one.key)
        is_known = locked is not None and locked.uri == one.uri
        if locked is None or not is_known or any(not f.origin for f in locked.files):
            locked = None
        folder = download_folder(one)
        wanted.append(
            RemoteInput(key=one.key, uri=one.uri, folder=folder, locked=locked)
        )
    try:
        brought = bring(wanted, store, progress)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return brought


def left_over(wanted: Input, located: Located, brought: Brought) -> list[Problem]:
    """Name files that lie where an address puts its own and are none of them."""
    return [
        Problem(
            what=f"is none of the files of {wanted.uri}",
            file=path,
            path=wanted.key,
            fix="move it away, with its .dvc file",
        )
        for path in located.files
        if path not in brought.origins
    ]


def origin_in(path: str, store: DvcStore) -> Origin | None:
    """Return what DVC's file says of where a file came from."""
    stated = store.origin_of(path)
    return None if stated is None else Origin.model_validate(stated)


def _at(key: str, error: InputError) -> list[Problem]:
    return [
        Problem(what=one.what, fix=one.fix, file=one.file, path=one.path or key)
        for one in error.problems
    ]
