"""The published schema of JobSets, read strictly.

The types are generated from the OpenAPI document that the Kubeflow Trainer publishes,
which has JobSet's and Kubernetes' own in it. They pass over fields that they don't
know, so what they have read is written again and compared.
"""

from __future__ import annotations

from typing import Any

from kubeflow_trainer_api.models.jobset_v1alpha2_job_set import JobsetV1alpha2JobSet


def broken_rule(manifest: dict[str, Any]) -> str | None:
    """Return what of a JobSet is not as published, or None."""
    try:
        read = JobsetV1alpha2JobSet.from_dict(manifest)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    assert read is not None
    return _difference(manifest, read.to_dict())


def _difference(given: Any, read: Any, place: str = "") -> str | None:
    if isinstance(given, dict) and isinstance(read, dict):
        for name in sorted({*given, *read}):
            if (name in given) != (name in read):
                what = "is unknown" if name in given else "is missing"
                return f"{place}.{name} {what}"
            found = _difference(given[name], read[name], f"{place}.{name}")
            if found is not None:
                return found
        return None
    if isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for index, pair in enumerate(zip(given, read, strict=True)):
            found = _difference(*pair, f"{place}.{index}")
            if found is not None:
                return found
        return None
    is_same = given == read and type(given) is type(read)
    return None if is_same else f"{place} is {given!r}"
