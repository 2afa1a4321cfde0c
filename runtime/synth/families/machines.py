"""Simulations: robots, automata, state machines, small machines with a stack."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

LETTERS = (
    ("U", "D", "L", "R"),
    ("N", "S", "W", "E"),
    ("^", "v", "<", ">"),
    ("u", "d", "l", "r"),
    ("8", "2", "4", "6"),
)
EDGES = {
    "free": ("The plane has no borders.", "{v}", "{v}"),
    "wrap": ("Coordinates run from 0 to {m} and go round: after {m} comes 0, and before 0 comes {m}.", "({v}) % {size}", "({v} + {size}) % {size}"),
    "stop": ("Coordinates run from {low} to {m}: a step that would go beyond either end stops at that end.", "min(max({v}, {low}), {m})", "sorted(({low}, {v}, {m}))[1]"),
}  # fmt: skip
ENDS = {
    "place": ("the position (x, y) at which {who} that follows the commands ends", "tuple[int, int]", "($i, $j)", "path[-1]"),
    "far": ("the largest distance (|x| + |y|) from (0, 0) that {who} reaches when it follows the commands, the start included", "int", "max(abs(x) + abs(y) for x, y in $parts)", "sorted(abs(p[0]) + abs(p[1]) for p in path)[-1]"),
    "visited": ("the number of different positions that {who} visits when it follows the commands, the start included", "int", "len(set($parts))", "len([n for n, p in enumerate(path) if p not in path[:n]])"),
    "returns": ("how often {who} that follows the commands comes back to its start position", "int", "$parts[1:].count($parts[0])", "len([p for p in path if p == path[0]]) - 1"),
    "sum": ("the product of the coordinates x and y at which {who} that follows the commands ends", "int", "$i * $j", "path[-1][0] * path[-1][1]"),
    "top": ("the largest y coordinate that {who} reaches when it follows the commands, the start included", "int", "max(y for _, y in $parts)", "sorted(p[1] for p in path)[-1]"),
}  # fmt: skip
WHO = ("robot", "drone", "turtle", "rover", "ship", "cursor")


def _robot(core: Core, draws: Draws) -> Draft:
    letters = core["letters"]
    edge, size = core["edge"]
    end, stride = core["end"], core["stride"]
    task, returns, finish, by_hand = ENDS[end]
    start = core["start"]
    who = draws.choice(WHO)
    numbers = {"m": size - 1 if edge == "wrap" else size, "size": size, "low": -size}
    rule, code, other = EDGES[edge]
    steps = dict(
        zip(
            letters, ((0, stride), (0, -stride), (-stride, 0), (stride, 0)), strict=True
        )
    )
    name = draws.choice(("commands", "moves", "steps", "program", "instructions"))
    x_new, y_new = (
        code.format(v="$i + right", **numbers),
        code.format(v="$j + up", **numbers),
    )
    begin, keep = f"    $i, $j = {start[0]}, {start[1]}\n", ""
    if "$parts" in finish:
        begin, keep = (
            f"{begin}    $parts = [($i, $j)]\n",
            "        $parts.append(($i, $j))\n",
        )
    table = f"MOVES = {steps!r}\n\n\n$sig\n{begin}    for $x in $xs:\n        if $x not in MOVES:\n            continue\n        right, up = MOVES[$x]\n        $i = {x_new}\n        $j = {y_new}\n{keep}    return {finish}"
    branch = (
        f"$sig\n{begin}    for $x in $xs:\n        right = up = 0\n        if $x == {letters[0]!r}:\n            up = {stride}\n        elif $x == {letters[1]!r}:\n            up = -{stride}\n        elif $x == {letters[2]!r}:\n            right = -{stride}\n        elif $x == {letters[3]!r}:\n            right = {stride}\n        else:\n            continue\n"
        f"        $i = {x_new}\n        $j = {y_new}\n{keep}    return {finish}"
    )
    title = who.capitalize()
    classy = (
        f"class {title}:\n    def __init__(self):\n        self.x, self.y = {start[0]}, {start[1]}\n        self.path = [(self.x, self.y)]\n\n    def move(self, right: int, up: int):\n        self.x = {code.format(v='self.x + right', **numbers)}\n        self.y = {code.format(v='self.y + up', **numbers)}\n        self.path.append((self.x, self.y))\n\n\n"
        f"$sig\n    {who} = {title}()\n    ways = {steps!r}\n    for $x in $xs:\n        if $x in ways:\n            {who}.move(*ways[$x])\n"
        + ("    $parts = " + who + ".path\n" if "$parts" in finish else "")
        + f"    return {finish.replace('$i', who + '.x').replace('$j', who + '.y')}"
    )
    unit = f" by {stride}" if stride > 1 else " by 1"
    return Draft(
        names=(f"move_{who}", f"run_{who}", f"{who}_{end}", f"follow_{name}", "simulate_walk"),
        params=(Param(name, "str"),),
        returns=returns,
        given=f"a string `{name}` with one command per character",
        task=task.format(who=f"a {who}"),
        rules=(f"The {who} starts at ({start[0]}, {start[1]}).",
               f"`{letters[0]}` raises y{unit}, `{letters[1]}` lowers it, `{letters[3]}` raises x{unit} and `{letters[2]}` lowers it.",
               rule.format(**numbers), "All other characters are ignored."),
        solutions={"table": table, "branches": branch, "class": classy},
        reference=f"def reference(commands):\n    path = [{start}]\n    for n in range(len(commands)):\n        x, y = path[-1]\n        which = {''.join(letters)!r}.find(commands[n])\n        if which < 0:\n            continue\n"
        f"        x += (0, 0, -1, 1)[which] * {stride}\n        y += (1, -1, 0, 0)[which] * {stride}\n        path.append(({other.format(v='x', **numbers)}, {other.format(v='y', **numbers)}))\n    return {by_hand}",
        inputs=lambda d: (d.text(d.integer(0, 14), "".join(letters) * 3 + "#"),),
        edges=(("",), ("".join(letters),)),
        fill={"i": "x", "j": "y", "parts": "$path", "xs": name, "x": "command"},
        level=1,
    )  # fmt: skip


BORDERS = {
    "dead": ("Cells beyond both ends count as dead.", "$row[$i - 1] if $i > 0 else 0", "$row[$i + 1] if $i + 1 < len($row) else 0", "[0] + cells + [0]"),
    "ring": ("The cells form a ring: the first and the last cell are neighbours.", "$row[$i - 1]", "$row[($i + 1) % len($row)]", "cells[-1:] + cells + cells[:1]"),
    "alive": ("Cells beyond both ends count as alive.", "$row[$i - 1] if $i > 0 else 1", "$row[$i + 1] if $i + 1 < len($row) else 1", "[1] + cells + [1]"),
}  # fmt: skip
AUTOMATON_ENDS = {
    "cells": ("the list of the cells", "list[int]", "$row", "cells"),
    "alive": ("the number of living cells", "int", "sum($row)", "len([c for c in cells if c])"),
    "text": ("a string of the cells, `#` for living and `.` for dead ones,", "str", "''.join('.#'[$x] for $x in $row)", "''.join('#' if c else '.' for c in cells)"),
    "number": ("the binary number that the cells spell (0 for no cells at all)", "int", "int(''.join(map(str, $row)) or '0', 2)", "sum(c * 2 ** n for n, c in enumerate(reversed(cells)))"),
}  # fmt: skip


def _automaton(core: Core, draws: Draws) -> Draft:
    rule, border, end = core["rule"], core["border"], core["end"]
    times = core["times"]
    said, left, right, padded = BORDERS[border]
    task, returns, finish, by_hand = AUTOMATON_ENDS[end]
    alive = [format(n, "03b") for n in range(8) if rule >> n & 1]
    name = draws.choice(("cells", "row", "state", "lamps"))
    if not 2 <= len(alive) <= 6:
        alive = alive or ["000"]
    spelled = ", ".join(alive)
    number = sum(1 << int(one, 2) for one in alive)
    bits = f"$sig\n    $row = list($xs)\n    for _ in range({times}):\n        $left = []\n        for $i, $x in enumerate($row):\n            before = {left}\n            after = {right}\n            $left.append({number} >> (4 * before + 2 * $x + after) & 1)\n        $row = $left\n    return {finish}"
    lookup = (
        f"ALIVE = {tuple(tuple(map(int, one)) for one in alive)!r}\n\n\ndef advance($row: list[int]) -> list[int]:\n    $result = []\n    for $i in range(len($row)):\n        before = {left}\n        after = {right}\n        $result.append(int((before, $row[$i], after) in ALIVE))\n    return $result\n\n\n"
        f"$sig\n    $row = $xs\n    for _ in range({times}):\n        $row = advance($row)\n    return {finish}"
    )
    if times == 1:
        lookup = lookup.replace(
            "    for _ in range(1):\n        $row = adv", "    $row = adv"
        )
        head, body = bits.split("    for _ in range(1):\n")
        *inner, last = body.split("\n")
        bits = head + "\n".join([*(line[4:] for line in inner), last])
    return Draft(
        names=("evolve", "run_automaton", f"{name}_after_{times}_step{'s' if times > 1 else ''}", "next_generations", "advance_cells"),
        params=(Param(name, "list[int]"),),
        returns=returns,
        given=f"a list `{name}` of cells, each 0 (dead) or 1 (alive)",
        task=f"{task} after {times} step{'s' if times > 1 else ''} of the automaton that is described below",
        rules=(f"In each step all cells change at once. A cell is alive afterwards if its left neighbour, itself and its right neighbour were one of: {spelled}; otherwise it is dead.", said),
        context=draws.choice(("", "A row of lamps switches by a fixed rule.", "A biologist simulates a row of cells.")),
        solutions={"rule number": bits, "lookup": lookup},
        reference=f"def reference(cells):\n    for _ in range({times}):\n        if not cells:\n            break\n        wide = {padded}\n        cells = [1 if ''.join(str(c) for c in wide[n:n + 3]) in {alive!r} else 0 for n in range(len(cells))]\n    return {by_hand}",
        inputs=lambda d: (d.integers(d.integer(0, 9), 0, 1),),
        edges=(([],), ([1],), ([0, 0, 1, 0, 0],)),
        fill={"left": "$next_row", "result": "$next_row", "xs": name, "x": "cell" if name != "cell" else "c"},
        level=2,
    )  # fmt: skip


DEVICES = (
    ("door", ("open", "closed", "locked")), ("lamp", ("off", "dim", "bright")), ("player", ("stopped", "playing", "paused")),
    ("order", ("new", "paid", "sent")), ("printer", ("idle", "busy", "jammed")), ("lift", ("ground", "moving", "stopped")),
    ("game", ("menu", "level", "over")), ("kettle", ("cold", "heating", "hot")), ("ticket", ("todo", "doing", "done")),
)  # fmt: skip
MACHINE_ENDS = {
    "last": ("the state of the {d} at the end", "str", "$state", "path[-1]"),
    "count": ("how often the {d} enters the state `{s}` (staying in it counts each time)", "int", "$parts[1:].count({s!r})", "len([p for p in path[1:] if p == {s!r}])"),
    "path": ("the list of the states of the {d}, the first one included", "list[str]", "$parts", "path"),
    "changes": ("how often the {d} changes to another state", "int", "sum($low != $high for $low, $high in zip($parts, $parts[1:]))", "len([n for n in range(1, len(path)) if path[n - 1] != path[n]])"),
    "accepts": ("whether the {d} is in the state `{s}` at the end", "bool", "$state == {s!r}", "path[-1] in ({s!r},)"),
}  # fmt: skip


def _what_happens(state: str, row: dict[str, str]) -> str:
    """Tell where the events lead from a state, those that lead to one place together.

    >>> _what_happens("off", {"push": "on", "pull": "off", "wait": "on"})
    'In the state `off`, `push` and `wait` lead to `on`, and `pull` changes nothing.'
    """
    parts = []
    for to in dict.fromkeys(row.values()):
        events = [f"`{event}`" for event, target in row.items() if target == to]
        who = ", ".join(events[:-1]) + (" and " if events[1:] else "") + events[-1]
        many = len(events) > 1
        if to == state:
            parts.append(f"{who} {'change' if many else 'changes'} nothing")
        else:
            parts.append(f"{who} {'lead' if many else 'leads'} to `{to}`")
    told = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
    return f"In the state `{state}`, {told}."


def _state_machine(core: Core, draws: Draws) -> Draft:
    device, states = DEVICES[core["device"]]
    end = core["end"]
    events = "ab" if core["table"] < 729 else "abc"
    number = core["table"] if core["table"] < 729 else core["table"] * 6007 + 11
    table = {}
    for state in states:
        for event in events:
            number, to = divmod(number, 3)
            table[state, event] = states[to]
    aim = states[core["aim"]]
    task, returns, finish, by_hand = (
        text.format(d=device, s=aim) if "{" in text else text
        for text in MACHINE_ENDS[end]
    )
    if end in ("last", "path", "changes") and core["aim"]:
        start = states[core["aim"]]
    else:
        start = states[0]
    if all(table[state, event] == start for state in (start,) for event in events):
        # It never leaves its first state.
        table[start, events[0]] = states[(states.index(start) + 1) % 3]
    name = draws.choice(("events", "signals", "inputs", "log"))
    names = (
        {"a": "start", "b": "stop", "c": "reset"}
        if draws.chance(50)
        else {"a": "push", "b": "pull", "c": "wait"}
    )
    table = {(state, names[event]): to for (state, event), to in table.items()}
    nested = {
        state: {event: to for (one, event), to in table.items() if one == state}
        for state in states
    }
    keep = "            $parts.append($state)\n" if "$parts" in finish else ""
    begin = f"    $state = {start!r}\n" + ("    $parts = [$state]\n" if keep else "")
    pairs = (
        "{\n" + "".join(f"    {key!r}: {to!r},\n" for key, to in table.items()) + "}"
    )
    inner = (
        "{\n"
        + "".join(f"    {state!r}: {row!r},\n" for state, row in nested.items())
        + "}"
    )
    flat = f"TABLE = {pairs}\n\n\n$sig\n{begin}    for $x in $xs:\n        if ($state, $x) in TABLE:\n            $state = TABLE[$state, $x]\n{keep}    return {finish}"
    two = f"TRANSITIONS = {inner}\n\n\n$sig\n{begin}    for $x in $xs:\n        $step = TRANSITIONS[$state].get($x)\n        if $step is not None:\n            $state = $step\n{keep}    return {finish}"
    branches = (
        "".join(
            f"        {'if' if n == 0 else 'elif'} $state == {state!r}"
            + f" and $x == {event!r}"
            + f":\n            $state = {to!r}\n"
            for n, ((state, event), to) in enumerate(table.items())
        )
        + "        else:\n            continue\n"
    )
    chain = f"$sig\n{begin}    for $x in $xs:\n{branches}{keep[4:]}    return {finish}"
    sentences = [_what_happens(state, row) for state, row in nested.items()]
    return Draft(
        names=(f"run_{device}", f"{device}_{end}", f"simulate_{device}", f"follow_{name}", "state_machine"),
        params=(Param(name, "list[str]"),),
        returns=returns,
        given=f"a list `{name}` of strings, the {name} that a {device} receives one after the other".replace("a order", "an order").replace("the log that", "the events that"),
        task=task,
        rules=(f"The {device} starts in the state `{start}`.", *sentences, "All other strings are ignored."),
        solutions={"table": flat, "nested table": two, "branches": chain},
        reference=f"def reference(events):\n    rules = {[(s, e, t) for (s, e), t in table.items()]!r}\n    path = [{start!r}]\n    for event in events:\n        found = [t for s, e, t in rules if (s, e) == (path[-1], event)]\n        if found:\n            path.append(found[0])\n    return {by_hand}",
        inputs=lambda d: ([d.choice((*(names[e] for e in events), *(names[e] for e in events), "?")) for _ in range(d.integer(0, 9))],),
        edges=(([],), ([names[e] for e in events] * 2,)),
        fill={"parts": "$states", "step": "$target", "low": "$earlier", "high": "$later", "xs": name, "x": "event" if name != "event" else "e"},
        level=1,
    )  # fmt: skip


FAMILIES = (
    Family("robots", "simulation",
           {"letters": LETTERS, "edge": (("free", 0), *(("wrap", n) for n in (4, 5, 6, 7, 8)), *(("stop", n) for n in (2, 3, 4, 5))), "end": tuple(ENDS), "stride": (1, 2, 3),
            "start": ((0, 0), (1, 2), (2, 1), (0, 3), (3, 0), (1, 1))}, _robot),
    Family("cellular-automata", "simulation",
           {"rule": tuple(rule for rule in range(256) if 2 <= bin(rule).count("1") <= 6), "border": tuple(BORDERS), "end": tuple(AUTOMATON_ENDS), "times": (1, 2, 3, 4)}, _automaton),
    Family("state-machines", "simulation",
           {"table": tuple(range(3, 3000)), "device": tuple(range(len(DEVICES))), "end": tuple(MACHINE_ENDS), "aim": (0, 1, 2)}, _state_machine),
)  # fmt: skip
