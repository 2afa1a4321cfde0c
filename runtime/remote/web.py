"""Single files by http(s)."""

from __future__ import annotations

import posixpath

from runtime.remote.http import answered
from runtime.remote.patience import DEFAULT_PATIENCE, Patience, tried
from runtime.remote.places import Asked, Listing, RemoteFile
from specs.locations import Remote, parse_remote
from specs.lock import Origin


class Web:
    """Any server of http(s), asked without credentials."""

    credentials = ""
    has_credentials = False

    def __init__(self, uri: str, patience: Patience = DEFAULT_PATIENCE):
        """Take the one address that it is about."""
        self._uri = uri
        self._patience = patience

    def listing(self, remote: Remote) -> Listing:
        """Ask for the first byte: some servers answer nothing but GET."""
        return Listing(files=(tried(self._uri, self._probed, patience=self._patience),))

    def ask(self, address: str) -> Asked:
        """Ask for the address itself."""
        return Asked(url=address)

    def _probed(self) -> RemoteFile:
        with answered(
            self.ask(self._uri),
            address=self._uri,
            place=self,
            headers={"Range": "bytes=0-0"},
            patience=self._patience,
        ) as response:
            headers = response.headers
            # Of an empty file there is no first byte, but the length is told.
            partial = response.status_code in (206, 416)
            text = headers.get("Content-Range" if partial else "Content-Length", "")
            length = text.rpartition("/")[2]
            etag = headers.get("ETag")
            origin = Origin(
                address=self._uri,
                etag=etag,
                modified=None if etag else headers.get("Last-Modified"),
            )
        return RemoteFile(
            path=posixpath.basename(parse_remote(self._uri).path),
            num_bytes=int(length) if length.isdecimal() else None,
            origin=origin,
        )
