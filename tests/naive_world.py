"""Oracle of meta-tasks: one life of an instance played by names, from the spec as its file spells it.

Written from the order of events that `evoplastic.tasks.meta.language` states. Nothing is decoded, packed or padded:
states, actions and variables stay the names they are, a memory is a dict, and every event of a decision is a method, so
that a test can plant a fault in one. Only the addresses of random draws follow the engine, because addresses are a
promise. With words w0 to w3 of `naive.philox(key, stream, address)`:

    stream 5  instances   64 b + v                   w0: value of variable v in block b
                          64 b + 63                  w0: the state in which block b starts
    stream 6  codes       (64 b + v) 2^16 + attempt  w0, w1: the first and the second 32 units of a drawn stimulus
    stream 7  decisions   t                          w0: action, w1: next state, w2: whether it pays, w3: relocation
    stream 8  changes     64 t + v                   w0: whether variable v changes, w1: to what
                          64 t + 63                  w0: the state in which the next trial starts

t counts the decisions of a life, v the variables in the order of the spec, then the maze where several can be. A word
is a share in (0, 1] (`naive.unit`), and the number floor(w n / 2^32) below n. Probabilities and rewards are float32, as
a kernel's are.
"""

import itertools
from dataclasses import dataclass, field
from fractions import Fraction

import naive
import numpy as np

from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.language import Uniform

INSTANCES, CODES, WORLD, CHANGES = 5, 6, 7, 8  # streams of a lifetime
EVENTS = ("move", "pay", "reward", "relocate", "mark", "end", "change")
COMPASS = {"north": (-1, 0), "east": (0, 1), "south": (1, 0), "west": (0, -1)}
MAZE = "which maze"  # the variable that a spec does not list
single = np.float32


def below(word, n):
    return word * n >> 32


def listed(names, everything=()):
    """Return names that a spec gives as one, as a list, as "any" or not at all."""
    if names is None:
        return []
    if names == "any":
        return list(everything)
    return [names] if isinstance(names, str) else list(names)


@dataclass
class Seen:
    """What one decision leaves to see."""

    state: str  # acted from
    action: str
    reward: float
    to: str  # the state of the next decision
    memory: dict
    ended: bool
    values: dict  # what every variable is after it: a name, a probability or a code


@dataclass
class World:
    """Block `block` of the life of `key`, at its start."""

    spec: object
    key: int
    block: int = 0
    values: dict = field(default_factory=dict)

    def __post_init__(self):
        self.t = self.decisions = self.position = 0
        self.lay_out()
        for number, name in enumerate(self.spec.variables):
            self.values[name] = self.drawn(number, self.spec.variables[name])
        starts = listed(self.spec.start, self.states) or (self.states if self.spec.grid else self.states[:1])
        self.starts = starts
        self.state = starts[below(self.word(INSTANCES, 64 * self.block + 63), len(starts))]
        self.memory = dict.fromkeys([*self.spec.flags, *self.spec.counters], 0)
        self.begins = True

    def word(self, stream, address, which=0):
        return naive.philox(self.key, stream, address)[which]

    # ---- places

    def lay_out(self):
        """Find the cells of a grid, {name: (row, column)}, and its walls."""
        grid = self.spec.grid
        self.states, self.actions = list(self.spec.states), list(self.spec.actions)
        if grid is None:
            return
        self.actions, self.stride = list(COMPASS), 1
        if grid.mazes is None:
            lines = grid.map
        else:
            number = below(self.word(INSTANCES, 64 * self.block + len(self.spec.variables)), grid.mazes.count)
            if grid.mazes.count > 1:
                self.values[MAZE] = number
            lines, self.stride = maze(grid.mazes, number if grid.mazes.count > 1 else 0), 2
        self.size = len(lines), len(lines[0])
        step = self.stride
        rows, columns = (range(step - 1, size, step) for size in self.size)
        self.cells = {}
        for row, column in itertools.product(rows, columns):
            sign = lines[row][column]
            if sign != "#":
                self.cells[sign if sign.isalpha() else f"{row // step},{column // step}"] = (row, column)
        self.open = {(row, column) for row, line in enumerate(lines) for column, sign in enumerate(line) if sign != "#"}
        self.states = list(self.cells)

    def around(self, square, down, right):
        """Return a square's neighbour, over the edge where the grid wraps."""
        row, column = square[0] + down, square[1] + right
        return (row % self.size[0], column % self.size[1]) if self.spec.grid.wrap else (row, column)

    def walked(self, action):
        """Return the cell that a move leads to: this one where a wall or the edge is in the way."""
        here = self.cells[self.state]
        way = here
        for _ in range(self.stride):
            way = self.around(way, *COMPASS[action])
            if way not in self.open:
                return self.state
        return next(name for name, square in self.cells.items() if square == way)

    def observed(self):
        """Return the levels of the stimulus units, 1 on, -1 off, 0 silent."""
        grid = self.spec.grid
        if grid is not None and grid.observe == "local":
            here = self.cells[self.state]
            squares = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
            return [0 if self.around(here, *square) in self.open else 1 for square in squares]
        if grid is not None and grid.observe == "unique":
            row, column = self.cells[self.state]
            axes = [sorted({square[axis] for square in self.cells.values()}) for axis in (0, 1)]
            return [int(other == row) for other in axes[0]] + [int(other == column) for other in axes[1]]
        levels = []
        for name in listed(self.spec.observations.get(self.state)):
            value = self.values.get(name, name)
            code = "." * self.bits if value == "none" else self.spec.stimuli.get(value, value)
            levels += [{"1": 1, "0": -1, ".": 0}[digit] for digit in code]
        return levels

    @property
    def bits(self):
        return self.spec.stimulus_units or len(next(iter(self.spec.stimuli.values()), ""))

    # ---- variables

    def choices(self, variable):
        """Return the values that a variable lists."""
        if variable.other is not None:
            return self.choices(self.spec.variables[variable.other])
        if variable.probability is not None:
            return [single(level) for level in variable.probability]
        if variable.state is not None:
            return [state for state in listed(variable.state, self.states) if state not in listed(variable.but)]
        return listed(variable.action or variable.stimulus)

    def drawn(self, number, variable):
        word = self.word(INSTANCES, 64 * self.block + number)
        if isinstance(variable.probability, Uniform):
            low, high = single(variable.probability.low), single(variable.probability.high)
            return low + (high - low) * single(naive.unit(word))
        if variable.stimulus == "drawn":
            return self.new_code(number)
        if variable.other is not None:
            return self.opposite(variable)
        taken = [self.values[rival] for rival in variable.unlike]
        free = [value for value in self.choices(variable) if value not in taken]
        return free[below(word, len(free))]

    def opposite(self, variable):
        """Return the other value of a two-valued variable."""
        (value,) = [value for value in self.choices(variable) if value != self.values[variable.other]]
        return value

    def new_code(self, number):
        drawn = [name for name, variable in self.spec.variables.items() if variable.stimulus == "drawn"]
        taken = [*self.spec.stimuli.values(), *(self.values[name] for name in drawn if name in self.values)]
        for attempt in range(2**16):
            words = naive.philox(self.key, CODES, (64 * self.block + number) * 2**16 + attempt)
            code = "".join(str(words[bit // 32] >> bit % 32 & 1) for bit in range(self.bits))
            if code not in taken:
                return code
        raise AssertionError("no code is left")

    def named(self, names):
        """Return the states or actions that a rule's names stand for."""
        return [self.values.get(name, name) for name in listed(names)]

    def chance(self, said):
        """Return a probability, given as a number, a fraction, or a variable or 1 less one."""
        if isinstance(said, str) and said.removeprefix("1-") in self.values:
            level = self.values[said.removeprefix("1-")]
            return single(1) - level if said.startswith("1-") else level
        return single(Fraction(said))

    # ---- decisions

    def random_action(self):
        return self.actions[below(self.word(WORLD, self.t), len(self.actions))]

    def decide(self, action, order=EVENTS):
        """Carry out an action and return what it left; the world stands where the next decision begins."""
        self.action, self.payment, self.paying, self.ended = action, single(0), None, False
        before, self.to, self.next = self.state, self.state, self.state
        for event in order:
            getattr(self, event)()
        self.state, self.begins = self.next, self.ended
        self.t += 1
        return Seen(before, action, float(self.payment), self.state, dict(self.memory), self.ended, dict(self.values))

    def move(self):
        self.to = self.next = self.walked(self.action) if self.spec.grid else self.led_to()

    def led_to(self):
        """Return the next state, drawn from the row of the state and the action."""
        rows = self.spec.transitions[self.state]
        if not isinstance(rows, str) and any(key == "any" or key in self.actions for key in rows):
            rows = rows[self.action] if self.action in rows else rows["any"]
        row = {rows: 1} if isinstance(rows, str) else rows
        total, share = 0.0, naive.unit(self.word(WORLD, self.t, 1))
        for to in row:
            total += float(Fraction(row[to]))
            if share <= single(total):
                break
        return self.values.get(to, to)

    def applies(self, rule):
        """Return whether all conditions of a rule hold."""
        return (
            (rule.from_ in (None, "any") or self.state in self.named(rule.from_))
            and (rule.to in (None, "any") or self.to in self.named(rule.to))
            and (rule.action in (None, "any") or self.action in self.named(rule.action))
            and (rule.moved is None or rule.moved == (self.to != self.state))
            and all(self.holds(self.memory[name], wanted) for name, wanted in rule.when.items())
        )

    def holds(self, value, wanted):
        return wanted[0] <= value <= wanted[1] if isinstance(wanted, tuple) else value == wanted

    def pay(self):
        for cost in self.spec.costs:
            if self.applies(cost):
                self.payment -= single(cost.value)

    def reward(self):
        rule = self.deciding([rule for rule in self.spec.rewards if self.applies(rule)])
        if rule and naive.unit(self.word(WORLD, self.t, 2)) <= self.chance(rule.probability):
            self.paying = rule
            self.payment += single(rule.value)

    def deciding(self, rules):
        return rules[-1] if rules else None

    def relocate(self):
        if self.paying and self.paying.relocate is not None:
            places = self.states if self.paying.relocate == "any" else self.named(self.paying.relocate)
            places = [place for place in places if place not in self.named(self.paying.but)]
            self.next = places[below(self.word(WORLD, self.t, 3), len(places))]

    def mark(self):
        after = dict(self.memory)
        for mark in self.spec.marks:
            if self.applies(mark):
                after |= {name: int(value) for name, value in mark.set.items()}
                after |= {name: self.counted(name, after[name] + by) for name, by in mark.add.items()}
        self.memory = after

    def counted(self, name, count):
        """Return a count kept between 0 and the highest value."""
        return min(max(count, 0), self.spec.counters.get(name, 1))

    def end(self):
        trial = self.spec.trial
        self.position += 1
        reached = self.next in listed(trial.until, self.states)
        self.ended = self.position == trial.decisions or reached or (trial.rewarded and self.paying is not None)
        if not self.ended:
            return
        self.position = 0
        if trial.restart:
            self.next = self.starts[below(self.word(CHANGES, 64 * self.t + 63), len(self.starts))]
        if trial.clear:
            self.memory = dict.fromkeys(self.memory, 0)

    def change(self):
        self.decisions += 1
        for number, (name, variable) in enumerate(self.spec.variables.items()):
            if variable.other is not None:
                self.values[name] = self.opposite(variable)
            elif variable.change is not None and self.due(variable.change):
                self.values[name] = self.changed(number, name, variable)

    def due(self, change):
        always = change.every == "decision" or (change.every == "trial" and self.ended)
        return always or self.decisions in change.at

    def changed(self, number, name, variable):
        values, address = self.choices(variable), 64 * self.t + number
        place = values.index(self.values[name])
        if naive.unit(self.word(CHANGES, address)) > single(variable.change.chance):
            return values[place]
        word = self.word(CHANGES, address, 1)
        if variable.change.to == "neighbour":
            return values[min(max(place + (1 if below(word, 2) else -1), 0), len(values) - 1)]
        return values[(place + 1 + below(word, len(values) - 1)) % len(values)]


def maze(mazes, number):
    """Return the lines of maze `number`: the tree over all rooms that opens the walls of least random weight."""
    key = int(stream_key(mazes.seed, Purpose.TASK, mazes.rows, mazes.columns, number))
    rooms = [(row, column) for row in range(mazes.rows) for column in range(mazes.columns)]
    pairs = [((row, column), (row, column + 1)) for row, column in rooms if column + 1 < mazes.columns]
    pairs += [((row, column), (row + 1, column)) for row, column in rooms if row + 1 < mazes.rows]
    squares = [["#"] * (2 * mazes.columns + 1) for _ in range(2 * mazes.rows + 1)]
    joined = {room: {room} for room in rooms}
    weights = [naive.unit(naive.philox(key, 0, pair)[0]) for pair in range(len(pairs))]
    for pair in sorted(range(len(pairs)), key=weights.__getitem__):
        one, other = pairs[pair]
        if other not in joined[one]:
            together = joined[one] | joined[other]
            joined.update(dict.fromkeys(together, together))
            squares[one[0] + other[0] + 1][one[1] + other[1] + 1] = "."
    for row, column in rooms:
        squares[2 * row + 1][2 * column + 1] = "."
    return ["".join(line) for line in squares]
