"""Simulations of books: accounts, stock, queues, games of elimination."""

from __future__ import annotations

from runtime.synth.draws import Draws
from runtime.synth.family import Core, Draft, Family, Param

PLACES = (
    ("account", "deposit", "withdraw", "balance", "amount", "A bank keeps an account."),
    ("tank", "fill", "drain", "level", "volume", "A water tank is filled and drained."),
    ("card", "load", "pay", "credit", "sum", "A canteen card is loaded and used to pay."),
    ("silo", "store", "take", "stock", "amount", "A farm stores grain in a silo."),
    ("battery", "charge", "use", "level", "energy", "A battery is charged and used."),
    ("wallet", "earn", "spend", "number of coins", "amount", "A player of a game earns and spends coins."),
)  # fmt: skip
CEILINGS = {
    "none": ("", "$total + $x", "t + v"),
    "cap": ("The {level} never exceeds {c}: what is more than that is lost.", "min($total + $x, {c})", "sorted((t + v, {c}))[0]"),
    "refuse": ("{a} `{put}` that would raise the {level} above {c} is refused and changes nothing.", "$total + $x if $total + $x <= {c} else $total", "t if t + v > {c} else t + v"),
}  # fmt: skip
FLOORS = {
    "refuse": ("A `{get}` of more than is there is refused and changes nothing.", "$total - $x if $x <= $total else $total", "t if v > t else t - v"),
    "part": ("A `{get}` of more than is there takes what is left.", "max($total - $x, 0)", "sorted((t - v, 0))[1]"),
    "debt": ("The {level} may fall to -{d}; a `{get}` that would lower it further is refused and changes nothing.", "$total - $x if $total - $x >= -{d} else $total", "t if t - v < -{d} else t - v"),
}  # fmt: skip
BOOK_ENDS = {
    "level": ("the {level} at the end", "int", "$total", "path[-1]"),
    "refused": ("the number of operations that do not change the {level}", "int", "sum($low == $high for $low, $high in zip($parts, $parts[1:]))", "len([n for n in range(1, len(path)) if path[n] == path[n - 1]])"),
    "path": ("the list of the values of the {level} after each operation", "list[int]", "$parts[1:]", "path[1:]"),
    "lowest": ("the lowest {value}{level}, the one at the start included", "int", "min($parts)", "sorted(path)[0]"),
    "highest": ("the highest {value}{level}, the one at the start included", "int", "max($parts)", "sorted(path)[-1]"),
}  # fmt: skip


def _book(core: Core, draws: Draws) -> Draft:
    thing, put, get, level, amount, context = draws.choice(PLACES)
    ceiling, c = core["ceiling"]
    floor, d = core["floor"]
    end, start, fee = core["end"], core["start"], core["fee"]
    task, returns, finish, by_hand = (
        text.format(
            level=level, value="" if level.startswith("number") else "value of the "
        )
        if "{" in text
        else text
        for text in BOOK_ENDS[end]
    )
    words = {
        "level": level,
        "a": "An" if put[0] in "aeiou" else "A",
        "put": put,
        "get": get,
        "c": c,
        "d": d,
    }
    up_rule, up, up_other = (text.format(**words) for text in CEILINGS[ceiling])
    down_rule, down, down_other = (text.format(**words) for text in FLOORS[floor])
    name = draws.choice(("operations", "entries", "log", "transactions"))
    keep = "$parts" in finish
    begin = f"    $total = {start}\n" + ("    $parts = [$total]\n" if keep else "")
    charge = f"            $x += {fee}\n" if fee else ""
    note = "        $parts.append($total)\n" if keep else ""
    loop = f"$sig\n{begin}    for kind, $x in $xs:\n        if kind == {put!r}:\n            $total = {up}\n        else:\n{charge}            $total = {down}\n{note}    return {finish}"
    title = thing.capitalize()
    held = {"$total": "self.held", "$x": "$x"}

    def own(code: str) -> str:
        return code.replace("$total", held["$total"])

    classy = (
        f"class {title}:\n    def __init__(self, held: int):\n        self.held = held\n        self.history = [held]\n\n    def {put}(self, $x: int):\n        self.held = {own(up)}\n        self.history.append(self.held)\n\n    def {get}(self, $x: int):\n"
        + (f"        $x += {fee}\n" if fee else "")
        + f"        self.held = {own(down)}\n        self.history.append(self.held)\n\n\n$sig\n    {thing} = {title}({start})\n    for kind, $x in $xs:\n        if kind == {put!r}:\n            {thing}.{put}($x)\n        else:\n            {thing}.{get}($x)\n"
        + (f"    $parts = {thing}.history\n" if keep else "")
        + f"    return {finish.replace('$total', thing + '.held')}"
    )
    helpers = (
        f"def {put}($total: int, $x: int) -> int:\n    return {up}\n\n\ndef {get}($total: int, $x: int) -> int:\n"
        + (f"    $x += {fee}\n" if fee else "")
        + f"    return {down}\n\n\n$sig\n    actions = {{{put!r}: {put}, {get!r}: {get}}}\n{begin}    for kind, $x in $xs:\n        $total = actions[kind]($total, $x)\n{note}    return {finish}"
    )
    rules = [
        f"Each operation is a tuple ('{put}', {amount}) or ('{get}', {amount}) with a positive integer.",
        f"The {level} is {start} at the start.",
    ]
    rules += [rule for rule in (up_rule, down_rule) if rule]
    if fee:
        rules.append(f"Each `{get}` costs {fee} more than its {amount}, as a fee.")
    return Draft(
        names=(f"run_{thing}", f"{thing}_{end}", f"simulate_{thing}", f"process_{name}", f"keep_{thing}"),
        params=(Param(name, "list[tuple[str, int]]"),),
        returns=returns,
        given=f"a list `{name}` of operations",
        task=task,
        rules=tuple(rules),
        context=context,
        solutions={"loop": loop, "class": classy, "functions": helpers},
        reference=f"def reference(operations):\n    path = [{start}]\n    for kind, v in operations:\n        t = path[-1]\n        if kind[0] == {put[0]!r}:\n            path.append({up_other})\n        else:\n            v = v + {fee}\n            path.append({down_other})\n    return {by_hand}",
        inputs=lambda dr: ([(dr.choice((put, get)), dr.integer(1, 14)) for _ in range(dr.integer(0, 9))],),
        edges=(([],), ([(put, 12), (get, 5)],), ([(get, 9)],)),
        fill={"total": ("coins" if thing == "wallet" else level), "parts": "$history", "low": "$earlier", "high": "$later", "xs": name, "x": amount if amount not in ("sum", level) else "value"},
        level=1,
    )  # fmt: skip


GOODS = (
    ("apples", "pears", "plums"),
    ("bolts", "nuts", "screws"),
    ("pens", "pads", "clips"),
    ("tea", "milk", "rice"),
    ("red", "green", "blue"),
)
STOCK_ENDS = {
    "stock": ("a dictionary with the number of pieces of each kind of goods that was ever delivered", "dict[str, int]", "$parts", "dict(held)"),
    "short": ("the sorted list of all kinds of goods that were ever delivered and of which fewer than {t} are left at the end", "list[str]", "sorted($i for $i, $count in $parts.items() if $count < {t})", "sorted(k for k in held if not held[k] >= {t})"),
    "total": ("the total number of pieces at the end", "int", "sum($parts.values())", "sum(held[k] for k in held)"),
    "missed": ("the total number of pieces that were asked for and not sold", "int", "$total", "missed"),
    "most": ("the kind of goods of which most pieces are left (the first in the alphabet if there are several), or an empty string if none was ever delivered", "str", "min($parts, key=lambda $i: (-$parts[$i], $i), default='')", "([k for k in sorted(held) if held[k] == max(held.values())] + [''])[0]"),
    "sold": ("the total number of pieces that were sold", "int", "$total", "sold"),
}  # fmt: skip


def _stock(core: Core, draws: Draws) -> Draft:
    goods = draws.choice(GOODS)
    end, t = core["end"]
    task, returns, finish, by_hand = (
        text.format(t=t) if "{t}" in text else text for text in STOCK_ENDS[end]
    )
    short, pack, shelf = core["short"], core["pack"], core["shelf"]
    name = draws.choice(("events", "movements", "log", "entries"))
    bring = f"$x * {pack}" if pack > 1 else "$x"
    add = f"$parts[$i] = $parts.get($i, 0) + {bring}"
    if shelf:
        add = f"$parts[$i] = min($parts.get($i, 0) + {bring}, {shelf})"
    counts = {
        "missed": "            $total += $x - sold\n",
        "sold": "            $total += sold\n",
    }.get(end, "")
    need = "$total = 0\n    " if counts else ""
    sell = (
        "            sold = min($x, $parts.get($i, 0))\n"
        if short == "part"
        else "            sold = $x if $x <= $parts.get($i, 0) else 0\n"
    )
    loop = f"$sig\n    {need}$parts = {{}}\n    for kind, $i, $x in $xs:\n        if kind == 'in':\n            {add}\n        elif kind == 'out':\n{sell}{counts}            if sold:\n                $parts[$i] -= sold\n    return {finish}"
    classy = (
        "class Store:\n    def __init__(self):\n        self.held = {}\n\n    def deliver(self, $i: str, $x: int):\n"
        f"        {add.replace('$parts', 'self.held')}\n\n    def sell(self, $i: str, $x: int) -> int:\n        {sell.strip().replace('$parts', 'self.held')}\n        if sold:\n            self.held[$i] -= sold\n        return sold\n\n\n"
        f"$sig\n    store = Store()\n    {need}for kind, $i, $x in $xs:\n        if kind == 'in':\n            store.deliver($i, $x)\n        elif kind == 'out':\n            sold = store.sell($i, $x)\n{counts}"
        + ("" if "$parts" not in finish else "    $parts = store.held\n")
        + f"    return {finish}"
    )
    if not counts:
        classy = classy.replace(
            "            sold = store.sell($i, $x)\n",
            "            store.sell($i, $x)\n",
        )
    rules = ["Each entry is a tuple (kind, goods, number): 'in' is a delivery and 'out' a sale.",
             "If fewer pieces are there than asked for, those are sold." if short == "part" else "If fewer pieces are there than asked for, nothing is sold."]  # fmt: skip
    if pack > 1:
        rules.append(
            f"Deliveries are counted in boxes of {pack} pieces, sales in pieces."
        )
    if shelf:
        rules.append(
            f"There is room for {shelf} pieces of each kind of goods; what a delivery brings beyond that is sent back."
        )
    return Draft(
        names=("run_store", f"stock_{end}", "keep_stock", f"process_{name}", "inventory"),
        params=(Param(name, "list[tuple[str, str, int]]"),),
        returns=returns,
        given=f"a list `{name}` of deliveries and sales",
        task=task,
        rules=tuple(rules),
        context=draws.choice(("", "A shop writes down what comes in and what goes out.", "A warehouse keeps a log of its goods.")),
        solutions={"loop": loop, "class": classy},
        reference="def reference(events):\n    held, missed, sold = {}, 0, 0\n    for kind, k, n in events:\n        if kind == 'in':\n            if k not in held:\n                held[k] = 0\n"
        f"            for _ in range(n * {pack}):\n                if not {shelf} or held[k] < {shelf}:\n                    held[k] += 1\n        else:\n            there = held.get(k, 0)\n            take = {'n if n < there else there' if short == 'part' else '0 if there < n else n'}\n"
        f"            sold, missed = sold + take, missed + n - take\n            if k in held:\n                held[k] = there - take\n    return {by_hand}",
        inputs=lambda dr: (_movements(dr, goods, pack),),
        edges=(([],), ([("in", goods[0], 4), ("out", goods[0], 6), ("out", goods[1], 1)],)),
        fill={"parts": "$held", "xs": name, "x": "number", "i": "goods"},
        level=1,
    )  # fmt: skip


def _movements(
    draws: Draws, goods: tuple[str, ...], pack: int
) -> list[tuple[str, str, int]]:
    # Sales of about what was delivered, so that both kinds of outcome occur.
    most = {"in": 5, "out": 7 * pack}
    kinds = [draws.choice(("in", "out")) for _ in range(draws.integer(2, 12))]
    return [(kind, draws.choice(goods), draws.integer(1, most[kind])) for kind in kinds]


CIRCLES = (
    ("children", "child"),
    ("players", "player"),
    ("knights", "knight"),
    ("cards", "card"),
    ("seats", "seat"),
)
CIRCLE_ENDS = {
    "last": ("the number of the last {one} that is left", "int", "$queue[0]", "circle[0]"),
    "order": ("the list of the numbers of the {ones} in the order in which they leave, the last one left included", "list[int]", "$parts + $queue", "gone + circle"),
    "left": ("the sorted list of the numbers of the last {t} {ones} (of all, if there are fewer)", "list[int]", "sorted($queue)", "sorted(circle)"),
    "sum": ("the sum of the numbers of the last {t} {ones} (of all, if there are fewer)", "int", "sum($queue)", "sum(circle)"),
    "turn": ("how many {ones} leave before number 1 does (all others, if number 1 is the last one left)", "int", "($parts + $queue).index(1)", "(gone + circle).index(1)"),
}  # fmt: skip


def _circle(core: Core, draws: Draws) -> Draft:
    ones, one = draws.choice(CIRCLES)
    end, t = core["end"]
    step, grow, turn, first = core["step"], core["grow"], core["turn"], core["first"]
    task, returns, finish, by_hand = (
        text.format(one=one, ones=ones, t=t) for text in CIRCLE_ENDS[end]
    )
    name = "n"
    more = f"        step += {grow}\n" if grow else ""
    back = "        $queue.reverse()\n" if turn else ""
    keep = "$parts.append($queue.pop($i))" if "$parts" in finish else "$queue.pop($i)"
    start = "    $parts = []\n" if "$parts" in finish else ""
    turn_first = f"    $queue.rotate(-{first})\n" if first else ""
    index = (
        f"$sig\n    $queue = list(range(1, $n + 1))\n{start}    $i, step = {first}, {step}\n    while len($queue) > {t}:\n        $i = ($i + step - 1) % len($queue)\n        {keep}\n"
        + ("        $queue.reverse()\n        $i = len($queue) - $i\n" if turn else "")
        + f"{more}    return {finish}"
    )
    rotate = (
        f"from collections import deque\n\n\n$sig\n    $queue = deque(range(1, $n + 1))\n{turn_first}{start}    step = {step}\n    while len($queue) > {t}:\n        $queue.rotate(1 - step)\n        "
        + (
            "$parts.append($queue.popleft())\n"
            if "$parts" in finish
            else "$queue.popleft()\n"
        )
        + back
        + f"{more}    $queue = list($queue)\n    return {finish}"
    )
    rules = [
        f"The {ones} stand in a circle, numbered from 1 to `n`. Counting begins with number {first + 1} as 1; whoever is counted as {step} leaves, and counting goes on from 1 with the next one."
    ]
    if grow:
        rules.append(
            f"After each time, {'one more is' if grow == 1 else f'{grow} more are'} counted than before."
        )
    if turn:
        rules.append(
            "After each time, the direction of counting is turned round, so that the next one is now on the other side."
        )
    rules.append(f"This ends when {t} {'is' if t == 1 else 'are'} left.")
    return Draft(
        names=("last_in_circle", "counting_out", f"{end}_in_circle", "elimination", "count_out"),
        params=(Param(name, "int"),),
        returns=returns,
        given=f"the number `n` of {ones}, at least {first + 1}",
        task=task,
        rules=tuple(rules),
        solutions={"index": index, "deque": rotate},
        reference=f"def reference(n):\n    circle = list(range(1, n + 1))\n    circle = circle[{first}:] + circle[:{first}]\n    gone, step = [], {step}\n    while len(circle) > {t}:\n        for _ in range(step - 1):\n            circle = circle[1:] + [circle[0]]\n        gone.append(circle[0])\n        circle = circle[1:]\n"
        + ("        circle = circle[::-1]\n" if turn else "")
        + f"        step += {grow}\n    return {by_hand}",
        inputs=lambda d: (d.integer(max(1, first + 1), 16),),
        edges=((first + 1,), (first + 2,)),
        fill={"queue": "$circle", "parts": "$gone", "n": name},
        level=2,
    )  # fmt: skip


FAMILIES = (
    Family("accounts", "simulation",
           {"ceiling": (("none", 0), *((one, c) for one in ("cap", "refuse") for c in (15, 18, 20, 25, 30))), "floor": (("refuse", 0), ("part", 0), *(("debt", d) for d in (5, 8, 10))),
            "end": tuple(BOOK_ENDS), "start": (0, 3, 5, 8, 10, 12), "fee": (0, 1, 2, 3)}, _book),
    Family("stock", "simulation",
           {"end": (("stock", 0), ("total", 0), ("missed", 0), ("most", 0), ("sold", 0), *(("short", t) for t in range(2, 10))), "short": ("part", "none"),
            "pack": (1, 2, 3, 4, 5, 6, 8, 10, 12), "shelf": (0, *range(9, 40, 3)), "portion": ("all", "part")}, _stock),
    Family("circles", "simulation",
           {"end": (("last", 1), ("order", 1), ("turn", 1), *((one, t) for one in ("left", "sum") for t in (2, 3, 4))), "step": (2, 3, 4, 5, 6, 7, 8, 9), "grow": (0, 1, 2, 3, 4),
            "turn": (False, True), "first": (0, 1, 2, 3, 4, 5)}, _circle),
)  # fmt: skip
