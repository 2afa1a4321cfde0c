"""What is known of the code and the machine that made a result: plain values.

`ledger.provenance` collects them, `ledger.differences` compares them, an entry holds
them for ever. A field that cannot be known is null, never a guess.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from specs.base import Value

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""64 hex digits."""

Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""128 bits as 32 hex digits."""

HexWords = Annotated[str, Field(pattern=r"^([0-9a-f]{8})*$")]
"""32-bit words as 8 hex digits each."""

JsonObject = dict[str, JsonValue]
"""Any JSON object."""


class ObjectRef(Value):
    """Bytes kept in the ledger's objects, named by their digest."""

    sha256: Sha256
    bytes: int


class Repository(Value):
    """The state of one git repository."""

    commit: str | None
    """Null before the first commit."""
    branch: str | None
    """Null on a detached head."""
    dirty: bool
    """Whether files differ from the commit, or are neither in it nor ignored."""
    diff: ObjectRef | None
    """`git apply`-able patch from the commit to the files, those not in git included;
    null where clean."""
    left_out: tuple[str, ...]
    """Files too large for the patch. Where there is one, the patch is truncated and
    the commit and patch alone do not give the code back."""

    @property
    def is_complete(self) -> bool:
        """Whether commit and patch give every file back."""
        return self.commit is not None and not self.left_out


class CodeFacts(Value):
    """The code that ran."""

    codemix: str
    """Version of codemix."""
    packages: dict[str, Sha256]
    """Package of ours -> digest over the files that Python imports it from."""
    repository: Repository | None
    """Where the packages are in a git repository: its state."""
    workspace: Repository | None
    """The repository of the spec; null where the workspace is in none."""


class Distribution(Value):
    """One installed Python distribution."""

    version: str
    files_sha256: Sha256 | None
    """Over names and digests of the installed files, as the installer recorded them;
    null where it recorded none."""


class Cpu(Value):
    """The processor, as far as it can change arithmetic."""

    architecture: str
    model: str | None
    features: tuple[str, ...]
    """Instruction set extensions, sorted."""
    num_cores: int
    num_usable_cores: int
    """Cores that this process may run on."""


class EnvironmentFacts(Value):
    """The machine and the software that the code ran on."""

    distributions: dict[str, Distribution]
    """Normalised name -> what is installed."""
    python: str
    """Implementation and version."""
    python_build: str
    """Build and compiler of the interpreter."""
    system: str
    """Operating system and its release."""
    kernel: str
    libc: str
    cpu: Cpu
    variables: dict[str, str]
    """Environment variables that can change arithmetic or threads, such as XLA_FLAGS;
    only those that are set."""

    @property
    def jaxlib(self) -> str | None:
        """Version of jaxlib, where installed."""
        found = self.distributions.get("jaxlib")
        return found.version if found else None
