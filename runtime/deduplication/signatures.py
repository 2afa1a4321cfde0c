"""MinHash signatures in bands: documents that share a band are worth comparing.

The only file that loads rensa, which makes the signatures. Its algorithm has a version
of its own, which is checked; a golden test holds the numbers fast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.deduplication.shingles import Counts, Hashes, mix
from specs.plan import PlannedNear

# D documents, S shingles of all, P permutations, B bands, R rows of a band

ALGORITHM_VERSION = 2
"""Of rensa's R-MinHash. Other signatures may keep other documents, so another number
here must raise `DEDUPLICATION_VERSION` too."""


def band_keys(hashes_S: Hashes, offsets: Counts, near: PlannedNear) -> Hashes:
    """Return the keys of each document's bands, B x D.

    Args:
        hashes_S: Shingles of all documents, as `shingle_hashes` returns them.
        offsets: Where each document's begin, D + 1.
        near: How signatures are made and cut into bands.
    """
    signatures_DP = minhash(hashes_S, offsets, near.permutations, near.seed)
    num_used = near.bands * near.rows
    rows_DBR = signatures_DP[:, :num_used].reshape(-1, near.bands, near.rows)
    keys_BD = np.empty((near.bands, len(rows_DBR)), np.uint64)
    for band in range(near.bands):
        keys = np.full(len(rows_DBR), band, np.uint64)
        for row in range(near.rows):
            keys = mix(keys, rows_DBR[:, band, row].astype(np.uint64))
        keys_BD[band] = keys
    return keys_BD


def minhash(
    hashes_S: Hashes, offsets: Counts, permutations: int, seed: int
) -> NDArray[np.uint32]:
    """Return the signatures of documents, D x P; of one without shingles it is blank.

    Raises:
        RuntimeError: The rensa that is installed makes other signatures.
    """
    from rensa import RMinHash

    if RMinHash.ALGORITHM_VERSION != ALGORITHM_VERSION:
        raise RuntimeError(
            f"rensa makes signatures of version {RMinHash.ALGORITHM_VERSION}, "
            f"this codemix needs {ALGORITHM_VERSION}: install the locked version"
        )
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes_S, offsets.astype(np.uint64), permutations, seed
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(-1, permutations)
