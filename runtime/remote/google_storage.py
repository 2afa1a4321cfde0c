"""Objects in buckets of Google Cloud Storage, by its JSON interface."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, urlencode

from runtime.remote.http import ask_json
from runtime.remote.patience import DEFAULT_PATIENCE, Patience, tried
from runtime.remote.places import Asked, Interrupted, Listing, Refused, RemoteFile
from specs.locations import Remote, matches
from specs.lock import Origin

DEFAULT_ENDPOINT = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS = "items(name,size,md5Hash,generation),nextPageToken"


class GoogleStorage:
    """Where STORAGE_EMULATOR_HOST or Google itself is."""

    credentials = "GOOGLE_APPLICATION_CREDENTIALS"

    def __init__(self, patience: Patience = DEFAULT_PATIENCE):
        """Read the environment; nothing is asked yet."""
        self._patience = patience
        emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
        if emulator and "://" not in emulator:
            emulator = f"http://{emulator}"
        self._endpoint = emulator or DEFAULT_ENDPOINT
        self._login = None if emulator else _login()
        self.has_credentials = self._login is not None

    def listing(self, remote: Remote) -> Listing:
        """Name the objects that fit, each in the generation that it has now."""
        before = f"{remote.folder}/" if remote.folder else ""
        prefix = before if remote.is_pattern else remote.path
        address = f"gs://{remote.place}/{remote.path}"
        files: list[RemoteFile] = []
        token = ""
        while True:
            page = self._page(remote.place, prefix, token, address)
            for one in page.get("items", ()):
                below = one["name"].removeprefix(before)
                fits = (
                    matches(remote.below, below)
                    if remote.is_pattern
                    else (one["name"] == remote.path)
                )
                if fits:
                    files.append(_file(remote.place, below, one))
            token = page.get("nextPageToken", "")
            if not token:
                return Listing(files=tuple(files))

    def ask(self, address: str) -> Asked:
        """Ask for the very generation that was listed."""
        bucket, _, rest = address.removeprefix("gs://").partition("/")
        name, _, generation = rest.rpartition("#")
        query = urlencode({"alt": "media", "generation": generation})
        url = f"{self._endpoint}/storage/v1/b/{bucket}/o/{quote(name, safe='')}?{query}"
        # Otherwise what is stored compressed would be unpacked on the way.
        return Asked(url=url, headers={**self._headers(), "Accept-Encoding": "gzip"})

    def _page(self, bucket: str, prefix: str, token: str, address: str) -> Any:
        query = {"prefix": prefix, "fields": _FIELDS}
        if token:
            query["pageToken"] = token
        url = f"{self._endpoint}/storage/v1/b/{bucket}/o?{urlencode(query)}"
        return tried(
            address,
            lambda: ask_json(
                Asked(url=url, headers=self._headers()),
                address=address,
                place=self,
                patience=self._patience,
            ),
            patience=self._patience,
        )

    def _headers(self) -> dict[str, str]:
        if self._login is None:
            return {}
        if not self._login.valid:
            _refresh(self._login)
        return {"Authorization": f"Bearer {self._login.token}"}


def _file(bucket: str, below: str, found: Any) -> RemoteFile:
    digest = None
    if "md5Hash" in found:
        import base64

        digest = f"md5:{base64.b64decode(found['md5Hash']).hex()}"
    address = f"gs://{bucket}/{found['name']}#{found['generation']}"
    return RemoteFile(
        path=below,
        num_bytes=int(found["size"]),
        origin=Origin(address=address, stated=digest),
    )


def _login() -> Any:
    """Return what the environment or the role of the machine gives, or None."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default(scopes=[_SCOPE])[0]
    except DefaultCredentialsError:
        if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            what = "GOOGLE_APPLICATION_CREDENTIALS names no file of credentials"
            raise Refused(what, "correct the variable") from None
        return None


def _refresh(login: Any) -> None:
    from google.auth.exceptions import RefreshError, TransportError
    from google.auth.transport.requests import Request

    try:
        login.refresh(Request())
    except RefreshError:
        what = "the credentials in GOOGLE_APPLICATION_CREDENTIALS are refused"
        raise Refused(what, "put fresh ones there, then repeat") from None
    except TransportError:
        raise Interrupted("Google's sign-in can't be reached") from None
