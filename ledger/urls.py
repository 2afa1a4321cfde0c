"""Addresses without what only their owner may know."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_SECRET_PARAMETER = re.compile(
    r"(?i)(^|&)[^=&]*(token|secret|password|passwd|signature|credential|key|sig|sas)"
    r"[^=&]*=[^&]*"
)


def without_credentials(url: str) -> str:
    """Take user, password and parameters that hold a secret out of an address.

    >>> without_credentials("https://ana:pw@example.org/a?x=1&token=abc#part")
    'https://example.org/a?x=1#part'
    >>> without_credentials("/mnt/depot"), without_credentials("s3://bucket/depot")
    ('/mnt/depot', 's3://bucket/depot')
    """
    if "://" not in url:
        return url
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    query = _SECRET_PARAMETER.sub("", parts.query).lstrip("&")
    return urlunsplit(parts._replace(netloc=place, query=query))


def user_part(url: str) -> str | None:
    """Return what stands before the host of an address, such as `ana:pw`.

    >>> user_part("https://ana:pw@example.org/a"), user_part("s3://bucket/a")
    ('ana:pw', None)
    """
    if "://" not in url:
        return None
    return urlsplit(url).netloc.rpartition("@")[0] or None
