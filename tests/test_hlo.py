"""Compiled programs: how often what runs, and what is sent and read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.accelerators import parse_slice
from runtime.collectives import Collective, bytes_by_kind, find_collectives
from runtime.hlo import Program, parse_program, shape_bytes
from runtime.hlo_loops import Runs, count_runs
from runtime.interconnect import Interconnect
from runtime.memory_traffic import memory_traffic
from runtime.roofline import row_by_row

WORKER = Path(__file__).resolve().parent / "hlo_worker.py"
LANES = "turns['lanes']"


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Compile the programs of `hlo_worker`, on four devices."""
    done = subprocess.run(
        [sys.executable, str(WORKER)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def collectives(program: Program, **arguments: int) -> tuple[Collective, ...]:
    return find_collectives(program, count_runs(program, arguments))


def test_loops_turn_as_often_as_an_argument_or_a_constant_says(
    texts: dict[str, str],
) -> None:
    program = parse_program(texts["in_loops"])
    assert program.num_devices == 4
    found = {one.kind: one for one in collectives(program, **{LANES: 5})}
    assert found["collective-permute"].runs == 5
    assert found["all-gather"].runs == 5 * 3
    # A row of eight floats, to the other device of the axis.
    assert found["all-gather"].total_bytes == 5 * 3 * 32
    assert found["all-gather"].groups == ((0, 1), (2, 3))
    assert found["collective-permute"].groups == ((0, 2), (2, 0), (1, 3), (3, 1))
    assert not count_runs(program, {LANES: 5}).unknown


def test_a_loop_without_a_known_bound_counts_once_and_is_told(
    texts: dict[str, str],
) -> None:
    program = parse_program(texts["in_loops"])
    runs = count_runs(program, {})
    assert len(runs.unknown) == 1
    sent = {one.kind: one.runs for one in find_collectives(program, runs)}
    assert sent == {"all-gather": 3, "collective-permute": 1}


def test_each_kind_of_collective_has_its_bytes(texts: dict[str, str]) -> None:
    found = collectives(parse_program(texts["of_each_kind"]))
    # 32 bytes go in: over four devices, over two, or to one neighbour.
    assert bytes_by_kind(found) == {
        "all-gather": 32 * 3,
        "all-reduce": 2 * 32 * 3 // 4,
        "all-to-all": 32 // 2,
        "collective-permute": 32,
        "reduce-scatter": 32 // 2,
    }


# As the TPU compiler writes it, shortened.
FUSED = """\
HloModule step, is_scheduled=true, num_partitions=8

%start (p: bf16[4,128]) -> (bf16[4,128], bf16[8,4,128]) {
  %p = bf16[4,128]{1,0} parameter(0)
  ROOT %ag.1 = bf16[8,4,128]{2,1,0} all-gather(%p), channel_id=9, \
replica_groups=[1,8]<=[8]
}

%async_collective_fusion.7 (q: bf16[4,128], w: f32[16]) -> (f32[16], bf16[8,4,128]) {
  %q = bf16[4,128]{1,0} parameter(0)
  %w = f32[16]{0} parameter(1)
  %ag.2 = bf16[8,4,128]{2,1,0} all-gather(%q), channel_id=9, replica_groups=[1,8]<=[8]
  ROOT %t = (f32[16]{0}, bf16[8,4,128]{2,1,0}) tuple(%w, %ag.2)
}

%done (r: bf16[4,128]) -> bf16[8,4,128] {
  %r = bf16[4,128]{1,0} parameter(0)
  ROOT %ag.3 = bf16[8,4,128]{2,1,0} all-gather(%r), channel_id=9, \
replica_groups=[1,8]<=[8]
}

ENTRY %main (x: bf16[4,128], y: f32[16]) -> bf16[8,4,128] {
  %x = bf16[4,128]{1,0:T(8,128)(2,1)} parameter(0)
  %y = f32[16]{0:T(128)} parameter(1)
  %async-collective-start = (bf16[4,128]{1,0}, bf16[8,4,128]{2,1,0}) fusion(%x), \
kind=kCustom, calls=%start
  %g = bf16[8,4,128]{2,1,0} get-tuple-element(%async-collective-start), index=1
  %f = (f32[16]{0}, bf16[8,4,128]{2,1,0}) fusion(%g, %y), kind=kOutput, \
output_to_operand_aliasing={{1}: (0, {})}, calls=%async_collective_fusion.7
  %h = bf16[8,4,128]{2,1,0} get-tuple-element(%f), index=1
  ROOT %async-collective-done = bf16[8,4,128]{2,1,0} fusion(%h), kind=kCustom, \
calls=%done
}
"""


def test_a_collective_that_is_fused_in_pieces_is_one() -> None:
    program = parse_program(FUSED)
    (only,) = collectives(program)
    assert (only.sent_bytes, only.runs) == (4 * 128 * 2 * 7, 1)
    assert only.groups == (tuple(range(8)),)


def test_what_passes_through_beside_a_collective_is_not_read_again() -> None:
    program = parse_program(FUSED)
    shard, whole, other = 4 * 128 * 2, 8 * 4 * 128 * 2, 16 * 4
    # The start reads a shard and writes the whole; beside it a small array is copied.
    traffic = memory_traffic(program, count_runs(program, {}))
    assert traffic == shard + whole + 2 * other


SLICES = """\
HloModule step, is_scheduled=true

%pick (a: f32[64,1024], i: s32[]) -> f32[1024] {
  %a = f32[64,1024]{1,0} parameter(0)
  %i = s32[] parameter(1)
  %z = s32[] constant(0)
  %d = f32[1,1024]{1,0} dynamic-slice(%a, %i, %z), dynamic_slice_sizes={1,1024}
  ROOT %b = f32[1024]{0} bitcast(%d)
}

%put (a2: f32[64,1024], u: f32[1,1024], i2: s32[]) -> f32[64,1024] {
  %a2 = f32[64,1024]{1,0} parameter(0)
  %u = f32[1,1024]{1,0} parameter(1)
  %i2 = s32[] parameter(2)
  %z2 = s32[] constant(0)
  ROOT %n = f32[64,1024]{1,0} dynamic-update-slice(%a2, %u, %i2, %z2)
}

ENTRY %main (x: f32[64,1024], k: s32[]) -> f32[64,1024] {
  %x = f32[64,1024]{1,0:T(8,128)} parameter(0)
  %k = s32[]{:S(2)} parameter(1)
  %row = f32[1024]{0:T(1024)S(1)} fusion(%x, %k), kind=kLoop, calls=%pick
  %r = f32[1,1024]{1,0:T(1,128)S(1)} bitcast(%row)
  ROOT %y = f32[64,1024]{1,0:T(8,128)} fusion(%x, %r, %k), kind=kLoop, calls=%put
}
"""


def test_of_an_array_that_is_sliced_or_updated_in_part_the_part_counts() -> None:
    program = parse_program(SLICES)
    # One row is read from memory and kept in fast memory; one row is written.
    assert memory_traffic(program, count_runs(program, {})) == 2 * 1024 * 4


def test_shapes_count_bits_and_leave_out_fast_memory() -> None:
    shape = "(pred[8]{0}, s4[16]{0}, bf16[2,3]{1,0:T(8,128)(2,1)S(1)}, u32[]{:S(2)})"
    assert shape_bytes(shape) == 8 + 8 + 12 + 4
    assert shape_bytes(shape, slow_only=True) == 8 + 8


def groups_text(groups: str) -> str:
    line = "ROOT %r = f32[8]{0} all-reduce(%p), channel_id=1, "
    return (
        "HloModule m, num_partitions=8\n\nENTRY %e (p: f32[8]) -> f32[8] {\n"
        f"  %p = f32[8]{{0}} parameter(0)\n  {line}{groups}, to_apply=%s\n}}\n"
    )


@pytest.mark.parametrize(
    ("written", "groups"),
    [
        ("replica_groups={{0,1,2,3},{4,5,6,7}}", ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("replica_groups=[2,4]<=[8]", ((0, 1, 2, 3), (4, 5, 6, 7))),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", ((0, 4), (1, 5), (2, 6), (3, 7))),
        ("replica_groups={}", (tuple(range(8)),)),
    ],
)
def test_groups_are_read_however_they_are_written(
    written: str, groups: tuple[tuple[int, ...], ...]
) -> None:
    (only,) = collectives(parse_program(groups_text(written)))
    assert only.groups == groups


def permute(*pairs: tuple[int, int]) -> Collective:
    return Collective(
        kind="collective-permute",
        name="",
        source_name="",
        sent_bytes=50_000_000_000,
        runs=1,
        groups=pairs,
    )


def test_the_busiest_link_of_a_permute_sets_its_time() -> None:
    # Sixteen chips, 4 x 4, no rings; a link takes a second for these bytes.
    where = parse_slice("v5e-16")
    links = Interconnect(where, row_by_row(where))
    assert links.seconds([permute((0, 1), (1, 0))]) == 1
    # Chips 0 and 1 send to 2 and 3: both pass the link from 1 to 2.
    assert links.seconds([permute((0, 2), (1, 3))]) == 2
    assert links.seconds([permute((0, 4), (1, 5), (2, 6))]) == 1


def test_a_ring_has_two_ways_and_a_message_takes_the_shorter() -> None:
    where = parse_slice("v5e-256")
    links = Interconnect(where, row_by_row(where))
    assert links.seconds([permute((0, 15))]) == 1
    # Eight away both ways are as long; half of it goes each way.
    assert links.seconds([permute((0, 8))]) == 0.5


def test_a_ring_collective_uses_the_axes_that_its_groups_span() -> None:
    where = parse_slice("v5e-256")
    links = Interconnect(where, row_by_row(where))
    row, everyone = tuple(range(16)), tuple(range(256))
    for group, ways in ((row, 2), (everyone, 4)):
        gather = Collective(
            kind="all-gather",
            name="",
            source_name="",
            sent_bytes=100_000_000_000,
            runs=2,
            groups=(group,),
        )
        assert links.seconds([gather]) == 2 * 2 / ways


def test_between_slices_a_chip_has_its_share_of_the_network() -> None:
    where = parse_slice("2xv5e-16")
    links = Interconnect(where, row_by_row(where))
    inside = links.seconds([permute((0, 1))])
    # The same place in the other slice, and one that is far away there.
    for receiver in (16, 31):
        assert links.seconds([permute((0, receiver))]) == inside * 50 / 3.1


SENT = """\
HloModule step, is_scheduled=true, num_partitions=8

ENTRY %main (x: f32[256,1024]) -> f32[256,1024] {
  %x = f32[256,1024]{1,0:T(8,128)} parameter(0)
  %a = token[] after-all()
  %s = (f32[256,1024]{1,0:T(8,128)}, u32[], token[]) send(%x, %a), channel_id=5, \
is_host_transfer=true, frontend_attributes={\
_xla_host_transfer_handler_name="xla_megascale_runtime"}
  ROOT %y = f32[256,1024]{1,0:T(8,128)} copy(%x)
}
"""


def test_messages_to_another_slice_take_the_network() -> None:
    where = parse_slice("2xv5e-4")
    (only,) = collectives(parse_program(SENT))
    assert (only.kind, only.sent_bytes) == ("between-slices", 2**20)
    links = Interconnect(where, row_by_row(where))
    assert links.seconds([only]) == 2**20 / where.chip.network_bandwidth


def test_gpus_beyond_a_node_are_as_slow_as_their_network() -> None:
    where = parse_slice("16xh100")
    links = Interconnect(where, row_by_row(where))
    inside = links.seconds([permute((0, 7))])
    assert links.seconds([permute((0, 8))]) == inside * 450 / 50


def test_a_program_without_loops_runs_once() -> None:
    assert count_runs(parse_program(SLICES), {}) == Runs(
        {"main": 1, "pick": 1, "put": 1}, ()
    )
