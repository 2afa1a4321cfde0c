"""What this process knows and nobody may read later, and texts without it.

Known are the values of environment variables whose name says that they are secret, and
what is secret inside addresses in other variables, such as the tracking server's.
"""

from __future__ import annotations

import os
import re

from specs.credentials import credentials_in, secrets_of, without_credentials

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|_KEY|APIKEY|_PWD$|AUTH", re.IGNORECASE
)
_SHORTEST_VALUE = 8
"""Shorter values are words such as `true`, which also stand elsewhere."""

_SECRET_FILE = re.compile(
    r"(?i)^(\.env(\..+)?|\.netrc|\.npmrc|\.pypirc|\.pgpass|\.git-credentials|kaggle\.json"
    r"|id_(rsa|dsa|ecdsa|ed25519)|credentials(\..+)?|.+\.(pem|key|p12|pfx|keystore))$"
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret.

    >>> is_secret_name("AWS_SECRET_ACCESS_KEY"), is_secret_name("XLA_FLAGS")
    (True, False)
    """
    return _SECRET_NAME.search(name) is not None


def is_secret_file(name: str) -> bool:
    """Whether a file of this name is there to hold secrets.

    >>> is_secret_file("deploy/.env"), is_secret_file("src/environment.py")
    (True, False)
    """
    return _SECRET_FILE.match(name.rpartition("/")[2]) is not None


def known_secrets() -> frozenset[str]:
    """Return the secrets that the environment of this process holds."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if is_secret_name(name) and len(value) >= _SHORTEST_VALUE:
            found.add(value)
        found |= secrets_of(value)
    return frozenset(found)


def discreet(text: str) -> str:
    """Take out of a text every credential, and every secret of the environment."""
    return without_credentials(text, known_secrets())


def holds_secret(data: bytes) -> bool:
    """Whether bytes hold a credential, or a secret of the environment."""
    if any(secret.encode() in data for secret in known_secrets()):
        return True
    return bool(credentials_in(data.decode("latin-1")))


def told_discreetly(error: Exception) -> str:
    """Tell an error in one line, without a secret."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, KeyError | OverflowError | TypeError) or not text:
        text = repr(error)
    return discreet(text)
