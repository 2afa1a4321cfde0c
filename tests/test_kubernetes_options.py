"""What is said of a cluster: all problems at once, and what an accelerator becomes."""

from __future__ import annotations

import pytest

from runtime.accelerators import slices_of
from runtime.study.kubernetes_options import (
    OPTION_NAMES,
    ClusterOptions,
    Hosts,
    read_options,
)
from specs.errors import InputError

NEEDED = {"image": "here/codemix:1", "queue": "research", "workspace-claim": "work"}


def options(**given: str) -> ClusterOptions:
    said = {name.replace("_", "-"): value for name, value in given.items()}
    return read_options([*{**NEEDED, **said}.items()])


def problems(**given: str) -> list[str]:
    with pytest.raises(InputError, match=r"\S") as caught:
        options(**given)
    return [str(one) for one in caught.value.problems]


def hosts(name: str, **given: str) -> Hosts:
    return options(slice=name, **given).hosts


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InputError, match="unknown option") as caught:
        read_options(
            [
                ("imgae", "x"),
                ("queue", "Research"),
                ("namespace", "a.b"),
                ("namespace", "b"),
                ("mount-path", "workspace"),
                ("claim-folder", "../other"),
                ("slice", "v5e-17"),
            ]
        )
    told = [str(one).partition("\n")[0] for one in caught.value.problems]
    assert told == [
        "--kubernetes-option imgae: unknown option",
        "--kubernetes-option queue: is 'Research'",
        "--kubernetes-option namespace: is 'a.b'",
        "--kubernetes-option mount-path: is 'workspace'",
        "--kubernetes-option claim-folder: is '../other'",
        "--kubernetes-option image: is needed",
        "--kubernetes-option workspace-claim: is needed",
        "--kubernetes-option slice: v5e has no slice of 17",
    ]
    assert all(one.fix for one in caught.value.problems)
    assert caught.value.problems[0].fix == "did you mean 'image'?"


def test_an_option_is_said_once() -> None:
    with pytest.raises(InputError, match="queue: is given twice"):
        read_options([*NEEDED.items(), ("queue", "b"), ("slice", "v5e-4")])


def test_what_runs_without_an_accelerator_says_its_cores_and_memory() -> None:
    told = problems(memory="32GB", chips_per_host="4")
    assert [one.partition("\n")[0] for one in told] == [
        "--kubernetes-option memory: is '32GB'",
        "--kubernetes-option cpu: is needed where there is no accelerator",
        "--kubernetes-option chips-per-host: there are no chips",
    ]
    plain = options(cpu="8", memory="32Gi").hosts
    assert plain == Hosts(1, 1, 0, {"cpu": "8", "memory": "32Gi"}, {})
    assert not plain.is_tpu


@pytest.mark.parametrize(
    ("name", "label", "grid", "per_slice", "chips"),
    [
        ("v5e-1", "tpu-v5-lite-podslice", "1x1", 1, 1),
        ("v5e-4", "tpu-v5-lite-podslice", "2x2", 1, 4),
        ("v5e-8", "tpu-v5-lite-podslice", "2x4", 1, 8),
        ("v5e-16", "tpu-v5-lite-podslice", "4x4", 4, 4),
        ("v5e-128", "tpu-v5-lite-podslice", "8x16", 32, 4),
        ("v5e-256", "tpu-v5-lite-podslice", "16x16", 64, 4),
        ("v6e-8", "tpu-v6e-slice", "2x4", 1, 8),
        ("v6e-64", "tpu-v6e-slice", "8x8", 16, 4),
        # Names of v4 and v5p count TensorCores, two to a chip.
        ("v4-8", "tpu-v4-podslice", "2x2x1", 1, 4),
        ("v4-512", "tpu-v4-podslice", "4x8x8", 64, 4),
        ("v5p-32", "tpu-v5p-slice", "2x2x4", 4, 4),
        ("v5p-8192", "tpu-v5p-slice", "16x16x16", 1024, 4),
    ],
)
def test_a_slice_is_hosts_with_the_labels_of_gke(
    name: str, label: str, grid: str, per_slice: int, chips: int
) -> None:
    found = hosts(name)
    assert found.labels == {
        "cloud.google.com/gke-tpu-accelerator": label,
        "cloud.google.com/gke-tpu-topology": grid,
    }
    assert found.resources == {"google.com/tpu": str(chips)}
    assert (found.slices, found.per_slice) == (1, per_slice)
    assert found.is_tpu


@pytest.mark.parametrize("family", ["v4", "v5e", "v5p", "v6e"])
def test_every_slice_that_has_a_name_has_all_of_its_chips_on_hosts(family: str) -> None:
    for one in slices_of(family):
        found = hosts(one.name)
        assert found.per_slice * int(found.resources["google.com/tpu"]) == found.chips
        assert found.chips == one.num_chips


def test_eight_chips_may_be_two_hosts() -> None:
    assert hosts("v6e-8", chips_per_host="4").per_slice == 2
    (told,) = problems(slice="v5e-16", chips_per_host="8")
    assert "hosts of v5e-16 have 4 chips, got 8" in told


def test_several_slices_are_groups_of_hosts() -> None:
    found = hosts("2xv5e-64")
    assert (found.slices, found.per_slice, found.num_pods, found.chips) == (
        2,
        16,
        32,
        128,
    )


def test_gpus_are_eight_to_a_host_unless_it_is_said_otherwise() -> None:
    assert hosts("16xh100", cpu="100") == Hosts(
        1, 2, 16, {"cpu": "100", "nvidia.com/gpu": "8"}, {}
    )
    assert hosts("4xh100").resources == {"nvidia.com/gpu": "4"}
    assert hosts("16xb200", chips_per_host="4").per_slice == 4
    assert hosts("16xa100", chips_per_host="16").per_slice == 1
    (told,) = problems(slice="16xh100", chips_per_host="3")
    assert "hosts of 16xh100 have 8 or 1 or 2 or 4 or 16 chips, got 3" in told


def test_the_documentation_names_every_option() -> None:
    from imports import ROOT

    page = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    assert [name for name in OPTION_NAMES if f"`{name}`" not in page] == []
