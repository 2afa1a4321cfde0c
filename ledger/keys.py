r"""Ed25519 keys: a private one in the user's own folder, public ones that are trusted.

    $XDG_CONFIG_HOME/codemix/keys/NAME.pem   the private key, for its owner's eyes only
    <workspace>/ledger-keys.txt              who is trusted, a line each, kept in git:
                                             key id, public key, name

A key's id is the SHA-256 of the 32 bytes of its public half. A private key is written
once, never printed, and is in no entry, no log and no workspace.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from specs.atomic import write_atomically
from specs.errors import CodemixError, InputError, Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TRUSTED_FILE = "ledger-keys.txt"
"""In the workspace."""

_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_FIRST_LINES = """\
# Keys whose signatures on the ledger count: key id, public key, who has it.
# Whoever can change this file can be trusted: review it like code.
"""


class PublicKey(NamedTuple):
    """The half of a key that everybody may have."""

    raw: bytes
    """32 bytes."""
    name: str
    """Who has the other half."""

    @property
    def keyid(self) -> str:
        """SHA-256 of the 32 bytes, as hex."""
        return hashlib.sha256(self.raw).hexdigest()

    def __str__(self) -> str:
        return f"{self.keyid} {self.raw.hex()} {self.name}"

    def has_signed(self, data: bytes, signature: bytes) -> bool:
        """Whether a signature on some bytes is this key's."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ed25519

        key = ed25519.Ed25519PublicKey.from_public_bytes(self.raw)
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key; it is in no way printed."""

    def __init__(self, private: Ed25519PrivateKey, name: str) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw(), name)

    def sign(self, data: bytes) -> bytes:
        """Sign bytes."""
        return self._private.sign(data)


class MadeKey(NamedTuple):
    """A key that is there."""

    public: PublicKey
    path: Path
    """Of the private half."""
    is_new: bool


def keys_folder() -> Path:
    """Return the folder of the user's private keys."""
    configured = os.environ.get("XDG_CONFIG_HOME")
    base = Path(configured) if configured else Path.home() / ".config"
    return base / "codemix" / "keys"


def own_key() -> Path:
    """Return where the user's only private key is.

    Raises:
        InputError: There is none, or more than one.
    """
    folder = keys_folder()
    found = sorted(folder.glob("*.pem"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            "you have no private key", file=str(folder), fix="codemix ledger key"
        )
    names = ", ".join(path.stem for path in found)
    raise InputError(
        f"you have several private keys: {names}",
        file=str(folder),
        fix=f"say which: --key {found[0]}",
    )


def make_key(name: str) -> MadeKey:
    """Make a key pair, unless there is one of that name.

    Raises:
        InputError: The name can't be one of a file, or the folder can't be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    _check_name(name)
    path = keys_folder() / f"{name}.pem"
    private = ed25519.Ed25519PrivateKey.generate()
    data = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Exclusive: a key that is there is never written over.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return MadeKey(load_key(path).public, path, is_new=False)
    except OSError as error:
        raise InputError(
            f"can't write: {error.strerror}",
            file=str(path.parent),
            fix="name another folder by XDG_CONFIG_HOME",
        ) from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return MadeKey(SigningKey(private, name).public, path, is_new=True)


def load_key(path: Path) -> SigningKey:
    """Read a private key.

    Raises:
        InputError: It is missing, others may read it, or it is no Ed25519 key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    file = str(path)
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        what = f"can't read the private key: {error.strerror}"
        raise InputError(what, file=file, fix="codemix ledger key") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        what = "others may read or write this private key"
        raise InputError(what, file=file, fix=f"chmod 600 {file}")
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return SigningKey(private, path.stem)
    what = "not an Ed25519 private key in PEM without a password"
    raise InputError(what, file=file, fix="codemix ledger key")


def read_trusted(workspace: Path) -> dict[str, PublicKey]:
    """Read the keys that a workspace trusts: id -> key; none without the file.

    Raises:
        InputError: With every line that is no key.
    """
    path = workspace / TRUSTED_FILE
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"can't be read: {error}", file=str(path)) from None
    trusted: dict[str, PublicKey] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key = parse_public(line)
            trusted[key.keyid] = key
        except CodemixError as error:
            for problem in error.problems:
                what, fix = problem.what, problem.fix
                problems.append(
                    Problem(what=what, file=str(path), line=number, fix=fix)
                )
    if problems:
        raise InputError(problems)
    return trusted


def trust(workspace: Path, text: str, name: str | None) -> PublicKey:
    """Add a public key to those that a workspace trusts; twice is as good as once.

    Args:
        workspace: Whose file of keys it is.
        text: What `codemix ledger key` printed, or a file that holds it.
        name: Who has the key, if another name than in the text.

    Raises:
        InputError: It is no public key, or has no name.
    """
    path = Path(text)
    try:
        line = path.read_text("utf-8") if path.is_file() else text
    except (OSError, ValueError):
        line = text
    key = parse_public(line, name=name)
    trusted = read_trusted(workspace)
    if key.keyid not in trusted:
        file = workspace / TRUSTED_FILE
        known = file.read_text("utf-8") if file.exists() else _FIRST_LINES
        if known and not known.endswith("\n"):
            known += "\n"
        write_atomically(file, f"{known}{key}\n".encode())
    return key


def parse_public(line: str, *, name: str | None = None) -> PublicKey:
    """Read `KEY-ID PUBLIC-KEY NAME`, the id and the name optional.

    Raises:
        InputError: It is not such a line, or the id is not that of the key.
    """
    words = line.split()
    numbers = [word for word in words[:2] if _HEX.fullmatch(word)]
    names = words[len(numbers) :]
    if not numbers or len(names) > 1:
        raise _no_key("not a line of a public key: key id, public key, name")
    if name is None and not names:
        raise _no_key("the key has no name", "say who has it: --name NAME")
    key = PublicKey(bytes.fromhex(numbers[-1]), name or names[0])
    _check_name(key.name)
    if len(numbers) == 2 and numbers[0] != key.keyid:
        raise _no_key(f"the key id is not that of the key, which is {key.keyid}")
    return key


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"not a name for a key: {name!r}",
            fix="use letters, digits and . _ @ + - , no blanks",
        )


def _no_key(
    what: str, fix: str = "give the line that 'codemix ledger key' printed"
) -> InputError:
    return InputError(what, fix=fix)
