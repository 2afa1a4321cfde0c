"""Data sets on a Hugging Face hub, at one commit."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from runtime.remote.patience import DEFAULT_PATIENCE, Patience, tried
from runtime.remote.places import (
    TRANSIENT,
    Asked,
    Interrupted,
    Listing,
    Refused,
    RemoteFile,
    refusal,
)
from specs.locations import Remote, matches, parse_remote
from specs.lock import Origin

Result = TypeVar("Result")

DEFAULT_ENDPOINT = "https://huggingface.co"


class Hub:
    """The hub that HF_ENDPOINT names, asked with the token in HF_TOKEN."""

    credentials = "HF_TOKEN"

    def __init__(self, patience: Patience = DEFAULT_PATIENCE):
        """Read the environment; nothing is asked yet."""
        self._patience = patience
        self._endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
        # Never the one that a login has left in a file: nobody would know whose it is.
        self._token = os.environ.get("HF_TOKEN", "").strip() or None
        self.has_credentials = self._token is not None

    def listing(self, remote: Remote) -> Listing:
        """Resolve the revision to a commit, and name the files of that."""
        api = self._api()
        wanted = f"hf://datasets/{remote.place}@{remote.revision}"
        info = self._called(
            wanted,
            lambda: api.dataset_info(
                remote.place, revision=remote.revision, timeout=self._patience.read
            ),
        )
        commit = info.sha
        found = self._called(
            wanted,
            lambda: list(
                api.list_repo_tree(
                    remote.place,
                    remote.folder or None,
                    repo_type="dataset",
                    revision=commit,
                    recursive="/" in remote.below,
                )
            ),
        )
        before = f"{remote.folder}/" if remote.folder else ""
        files = []
        for one in found:
            below = one.path.removeprefix(before)
            if not hasattr(one, "blob_id") or not _means(remote, below):
                continue
            digest = f"sha256:{one.lfs.sha256}" if one.lfs else f"git:{one.blob_id}"
            address = f"hf://datasets/{remote.place}@{commit}/{one.path}"
            files.append(
                RemoteFile(
                    path=below,
                    num_bytes=one.size,
                    origin=Origin(address=address, stated=digest),
                )
            )
        return Listing(files=tuple(files), revision=commit)

    def ask(self, address: str) -> Asked:
        """Ask the hub; it sends on to wherever the bytes are."""
        from huggingface_hub import hf_hub_url

        remote = parse_remote(address)
        url = hf_hub_url(
            remote.place,
            remote.path,
            repo_type="dataset",
            revision=remote.revision,
            endpoint=self._endpoint,
        )
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return Asked(url=url, headers=headers)

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._endpoint, token=self._token or False)

    def _called(self, wanted: str, call: Callable[[], Result]) -> Result:
        return tried(wanted, lambda: self._once(wanted, call), patience=self._patience)

    def _once(self, wanted: str, call: Callable[[], Result]) -> Result:
        from huggingface_hub import errors

        try:
            return call()
        except errors.OfflineModeIsEnabled:
            what = f"{wanted}: HF_HUB_OFFLINE is set"
            raise Refused(what, "unset it, then repeat") from None
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status in TRANSIENT:
                raise Interrupted(f"the hub answers {status}") from None
            if isinstance(error, errors.RevisionNotFoundError):
                what = f"{wanted}: has no such revision"
                raise Refused(what, "correct the commit, branch or tag") from None
            if isinstance(error, errors.GatedRepoError):
                what = f"{wanted}: {status}: its owner asks you to agree to terms first"
                fix = f"agree on its page, then set {self.credentials}"
                raise Refused(what, fix) from None
            raise refusal(status, wanted, self) from None
        except OSError:
            raise Interrupted("the hub can't be reached") from None


def _means(remote: Remote, below: str) -> bool:
    return matches(remote.below, below) if remote.is_pattern else below == remote.below
