"""Which of how many processes this is, from the environment alone."""

from __future__ import annotations

import pytest

from runtime import launch
from runtime.launch import Launch, devices_of_one, find_launch
from specs.errors import InputError

OURS = {
    "JAX_COORDINATOR_ADDRESS": "host0:1234",
    "JAX_NUM_PROCESSES": "4",
    "JAX_PROCESS_ID": "3",
}
OPEN_MPI_5 = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
OPEN_MPI_4 = {
    **OPEN_MPI_5,
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_MCA_orte_hnp_uri": "1910964224.0;tcp://10.0.0.7,10.1.0.7:33317",
}
SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "node[007-009]",
    "SLURM_NTASKS": "3",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}


def found(environment: dict[str, str], patch: pytest.MonkeyPatch) -> Launch | None:
    """Find the launch where the process's own environment says the same."""
    for name, value in environment.items():
        patch.setenv(name, value)
    return find_launch(environment)


def test_a_process_without_a_launcher_is_alone() -> None:
    assert find_launch({}) is None


def test_one_process_under_a_launcher_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    single = {**SLURM, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    assert found(single, monkeypatch) is None


def test_a_pod_of_its_own_is_alone() -> None:
    assert find_launch({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


@pytest.mark.parametrize("count", [1, 2])
def test_a_pod_that_was_told_all_asks_kubernetes_for_nothing(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}
    told = {**OURS, "JAX_NUM_PROCESSES": str(count), "JAX_PROCESS_ID": "0"}
    # Without its package for Kubernetes jax would warn, and with it ask.
    alone = Launch(address="host0:1234", index=0, count=2) if count > 1 else None
    assert found({**pod, **told}, monkeypatch) == alone


def test_three_variables_say_it_where_there_is_no_launcher() -> None:
    assert find_launch(OURS) == Launch(address="host0:1234", index=3, count=4)


def test_open_mpi_and_slurm_are_known_by_their_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        mpi = found(OPEN_MPI_4, patch)
    assert mpi is not None
    assert (mpi.index, mpi.count, mpi.local_devices) == (1, 2, (1,))
    assert mpi.address.startswith("10.0.0.7:")
    slurm = found(SLURM, monkeypatch)
    assert slurm is not None
    assert (slurm.index, slurm.count, slurm.local_devices) == (2, 3, (0,))
    assert slurm.address.startswith("node007:")


def test_an_address_is_enough_where_a_launcher_counts_alone() -> None:
    environment = {**OPEN_MPI_5, "JAX_COORDINATOR_ADDRESS": "host0:9"}
    assert find_launch(environment) == Launch(address="host0:9", index=1, count=2)


@pytest.mark.parametrize(
    ("environment", "match"),
    [
        (OPEN_MPI_5, "one of several processes"),
        ({"JAX_COORDINATOR_ADDRESS": "host0:9"}, "one of several processes"),
        ({"JAX_NUM_PROCESSES": "2"}, "JAX_PROCESS_ID is ''"),
        ({**OURS, "JAX_PROCESS_ID": "4"}, "JAX_PROCESS_ID is 4"),
        ({**OURS, "JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES is 'two'"),
    ],
)
def test_half_a_launch_is_an_error_not_a_process_alone(
    environment: dict[str, str], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        find_launch(environment)


def test_processes_share_devices_as_the_lanes_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import plans

    plan = plans.plan(plans.stage(sequences_per_step=16, lane_sequences=2))
    monkeypatch.setattr(launch, "default_devices", lambda: 8)
    assert devices_of_one(plan, None, 1) is None
    assert devices_of_one(plan, 2, 1) == 2
    assert [devices_of_one(plan, None, count) for count in (2, 4, 8)] == [4, 2, 1]
    assert devices_of_one(plan, 4, 4) == 1
    with pytest.raises(InputError, match="6 devices can't be shared by 4 processes"):
        devices_of_one(plan, 6, 4)
    for count in (3, 16):
        with pytest.raises(
            InputError, match=f"{count} processes can't share the batch"
        ):
            devices_of_one(plan, None, count)
