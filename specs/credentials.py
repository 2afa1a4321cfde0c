"""Logins, signatures and tokens inside addresses and texts: found, and taken out.

Whatever is recorded is read by others, so a spec may not hold them and nothing that is
kept or shown repeats them. Found are the shapes that addresses have (`user:password@`,
`?token=...`, signed links) and those that well-known services give their tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

TAKEN_OUT = "***"
"""Stands where a secret stood."""

_SHORTEST_SECRET = 6

_LOGIN = re.compile(r"(?<=://)[^\s/?#\"'<>]{1,1000}@")
"""What stands before the last @ in front of the path."""
_DATABASE_LOGIN = re.compile(
    r"(?<=://)[^\s/?#\"'<>:@]{0,200}:[^\s\"'<>]{1,1000}@(?=[\w.\-\[%])"
)
_DATABASE = re.compile(r"\b(?:postgres(?:ql)?|mysql|mariadb|mssql|oracle)\b[\w+]*://")
_PARAMETER = re.compile(
    r"""(?ix) (?<=[?&;])
    ( (?:[\w.-]*[_-])? (?:pass(?:word|wd|phrase)?|pwd|token|secret|credentials?
      |signature|sig|auth|authorization|(?:access|api|secret|private|account)?_?key
      |(?:aws)?access_?key_?id|sslpassword|jwt) )
    = ([^&;\s\#"'<>]{1,4000})"""
)
_TOKEN = re.compile(
    r"""(?x) \b(?: hf_[A-Za-z0-9]{30,} | gh[pousr]_[A-Za-z0-9]{30,}
    | github_pat_[A-Za-z0-9_]{30,} | glpat-[A-Za-z0-9_-]{20,}
    | (?:AKIA|ASIA)[A-Z0-9]{16} | xox[abprs]-[A-Za-z0-9-]{10,}
    | sk-[A-Za-z0-9_-]{30,} | AIza[A-Za-z0-9_-]{35} )"""
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class Credential(NamedTuple):
    """One secret in a text; its value is nowhere in here."""

    start: int
    stop: int
    what: str
    """What it is, such as `a login` or `the parameter token`."""


def credentials_in(text: str) -> list[Credential]:
    """Find every credential in a text, in order.

    >>> [one.what for one in credentials_in("s3://a/b https://h/x?token=abc&n=1")]
    ['the parameter token']
    """
    found = [
        Credential(*match.span(), "a user or password before the @")
        for match in (*_LOGIN.finditer(text), *_database_logins(text))
    ]
    found += [
        Credential(*match.span(2), f"the parameter {match[1]}")
        for match in _PARAMETER.finditer(text)
        if match[2] != TAKEN_OUT
    ]
    found += [
        Credential(*match.span(), "a token of a known service")
        for match in _TOKEN.finditer(text)
    ]
    found += [
        Credential(*match.span(), "a private key")
        for match in _PRIVATE_KEY.finditer(text)
    ]
    return sorted(found)


def without_credentials(text: str, known: Iterable[str] = ()) -> str:
    """Take every credential out of a text.

    Args:
        text: Any text, such as an address or a message.
        known: Secrets to look for as they are, see `secrets_of`.

    >>> without_credentials("lost https://ana:secret@tracking.example:5000/x?token=12")
    'lost https://tracking.example:5000/x?token=***'
    """
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, TAKEN_OUT)
    done, parts = 0, []
    for start, stop, what in credentials_in(text):
        if stop <= done:
            continue
        is_login = what.endswith("@")
        parts += [text[done : max(start, done)], "" if is_login else TAKEN_OUT]
        done = stop
    return "".join([*parts, text[done:]])


def secrets_of(address: str) -> frozenset[str]:
    """Return what is secret in an address, as written and as decoded.

    >>> sorted(secrets_of("postgresql://ana:p%40ssword@db/x"))
    ['p%40ssword', 'p@ssword']
    """
    found = set()
    for start, stop, what in credentials_in(address):
        secret = address[start:stop]
        if what.endswith("@"):
            user, colon, password = secret.removesuffix("@").partition(":")
            secret = password if colon else user
        found |= {secret, unquote(secret)}
    return frozenset(one for one in found if len(one) >= _SHORTEST_SECRET)


def _database_logins(text: str) -> Iterable[re.Match[str]]:
    """Logins whose password holds a slash or the like, as databases take them."""
    for scheme in _DATABASE.finditer(text):
        match = _DATABASE_LOGIN.match(text, scheme.end())
        if match is not None:
            yield match
