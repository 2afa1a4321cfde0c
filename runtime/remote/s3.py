"""Objects in buckets of S3, or of what speaks its language."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ledger.secrets import told_discreetly
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

DEFAULT_REGION = "us-east-1"


class S3:
    """Where AWS_ENDPOINT_URL or AWS itself is, asked as AWS_* say, or by nobody."""

    credentials = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

    def __init__(self, patience: Patience = DEFAULT_PATIENCE):
        """Read the environment; nothing is asked yet."""
        import boto3
        from botocore.exceptions import BotoCoreError

        self._patience = patience
        try:
            self._session = boto3.session.Session()
            self.has_credentials = self._session.get_credentials() is not None
        except BotoCoreError as error:
            raise _misset(error) from None

    @cached_property
    def _client(self) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        # A public bucket is read without a name.
        version = "s3v4" if self.has_credentials else UNSIGNED
        config = Config(
            signature_version=version,
            connect_timeout=self._patience.connect,
            read_timeout=self._patience.read,
            retries={"max_attempts": 0},
        )
        region = self._session.region_name or DEFAULT_REGION
        try:
            return self._session.client("s3", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise _misset(error) from None

    def listing(self, remote: Remote) -> Listing:
        """Name the objects that fit; folders are what stands before slashes."""
        address = f"s3://{remote.place}/{remote.path}"
        objects = tried(
            address, lambda: self._objects(remote, address), patience=self._patience
        )
        before = f"{remote.folder}/" if remote.folder else ""
        files = [
            RemoteFile(
                path=one["Key"].removeprefix(before),
                num_bytes=one["Size"],
                origin=Origin(
                    address=f"s3://{remote.place}/{one['Key']}", etag=one["ETag"]
                ),
            )
            for one in objects
        ]
        if remote.is_pattern:
            files = [one for one in files if matches(remote.below, one.path)]
        return Listing(files=tuple(files))

    def ask(self, address: str) -> Asked:
        """Sign the question, for minutes."""
        remote = parse_remote(address)
        url = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": remote.place, "Key": remote.path}
        )
        return Asked(url=url)

    def _objects(self, remote: Remote, address: str) -> list[dict[str, Any]]:
        from botocore.exceptions import BotoCoreError, ClientError

        before = f"{remote.folder}/" if remote.folder else ""
        try:
            if not remote.is_pattern:
                found = self._client.head_object(Bucket=remote.place, Key=remote.path)
                return [
                    {
                        "Key": remote.path,
                        "Size": found["ContentLength"],
                        "ETag": found["ETag"],
                    }
                ]
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=remote.place, Prefix=before
            )
            return [
                one
                for page in pages
                for one in page.get("Contents", ())
                if not one["Key"].endswith("/")
            ]
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response["Error"].get("Code", "")
            if status in TRANSIENT:
                raise Interrupted(f"the bucket answers {status}") from None
            name = "" if code.isdecimal() else code
            raise refusal(status, address, self, name) from None
        except BotoCoreError as error:
            if type(error).__name__.endswith(("ConnectionError", "TimeoutError")):
                raise Interrupted("the bucket can't be reached") from None
            raise _misset(error) from None


def _misset(error: Exception) -> Refused:
    what = f"S3 can't be asked: {told_discreetly(error)}"
    return Refused(what, "correct the AWS_* variables")
