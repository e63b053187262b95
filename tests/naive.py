"""Oracles: slow and obvious, written from the published equations and not from the kernels.

Dense float64 vector algebra in the papers' notation: matrices are [post, pre], times are ms, the perturbation is an
explicit list, and nothing is lazy, sparse, padded or skipped. Only the addresses of random draws follow the kernels,
because addresses are a promise: see `philox`, `stimulus`, `earlier_trial` and `perturbations`.

Sources of the equations: Miconi 2023, "Learning to acquire novel cognitive tasks with evolution, plasticity and
meta-meta-learning"; for the Hebbian rule Miconi, Rawal, Clune, Stanley 2019, "Backpropamine".
"""

import math
from dataclasses import dataclass, field

import numpy as np

STIMULI, NOISE, FEEDBACK, STIMULUS_NOISE = 1, 2, 3, 11  # streams of a lifetime


def philox(key, stream, index):
    """Return the four 32-bit words of Philox4x32-10 (Salmon et al. 2011) in Python's own integers."""
    low = 0xFFFFFFFF
    c0, c1, c2, c3 = index & low, index >> 32, stream & low, stream >> 32
    k0, k1 = key & low, key >> 32
    for _ in range(10):
        high_0, low_0 = divmod(0xD2511F53 * c0, 2**32)
        high_1, low_1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    return c0, c1, c2, c3


def unit(word):
    """Return a word as a float in (0, 1], rounded as float32 rounds it."""
    return float((np.float32(word) + np.float32(0.5)) * np.float32(2.0**-32))


def stimulus(key, trial, stimuli):
    """Return a trial's stimuli as a binary number, first stimulus highest."""
    return philox(key, STIMULI, trial)[0] * 2**stimuli >> 32


def earlier_trial(key, trial, age):
    """Return the trial whose feedback is given in `trial` when feedback is shuffled: any of the `age` since birth."""
    return trial - age + (philox(key, FEEDBACK, trial)[0] * age >> 32)


def perturbations(key, trial, units, steps, first_step, probability, amplitude):
    """Return a trial's perturbations as (step, unit, size), in reading order of the (steps, units) grid.

    Counters come in batches of 32 from trial * 2^32 on. A batch gives 64 perturbations: words 0, then words 1, say how
    many places are skipped before each; words 2, then words 3, how large it is.
    """
    found, counter, place = [], trial * 2**32, units * first_step - 1
    while True:
        words = [philox(key, NOISE, counter + i) for i in range(32)]
        counter += 32
        for half in (0, 1):
            for word in words:
                place += 1 + (
                    math.floor(math.log(unit(word[half])) / math.log1p(-probability)) if probability < 1 else 0
                )
                if place >= units * steps:
                    return found
                found.append((place // units, place % units, amplitude * (2 * unit(word[half + 2]) - 1)))


@dataclass(frozen=True)
class Life:
    """All that decides a lifetime, in the papers' units. Roles are lists of unit numbers."""

    innate: np.ndarray  # (N, N) [post, pre]
    gain: np.ndarray  # (N, N) [post, pre]
    roles: dict
    tables: list = field(default_factory=lambda: ["0110"])  # a truth table per block of trials
    trials: int = 12  # per block
    key: int = 7
    dt: float = 20.0
    tau: float = 100.0
    trace_tau: float = 400.0
    start: float = 0.1
    # trial periods; the last gap is replaced by the delay
    stimulus: float = 60.0
    gap: float = 20.0
    delay: float = 40.0
    response: float = 80.0
    pause: float = 20.0
    feedback: float = 60.0
    rest: float = 40.0
    # what clamped units are held at
    stimulus_level: float = 3.0
    feedback_level: float = 3.0
    echo_level: float = 3.0
    bias_level: float = 1.0
    # node perturbation, or hebbian, which is neither clipped nor perturbed
    rule: str = "node perturbation"
    eta: float = 1.0
    bound: float = 1.0  # of hebbian plastic weights
    clip: float = 0.02
    probability: float = 0.1
    amplitude: float = 0.5
    unperturbed: float = 40.0
    burn_in: int = 2
    quiet: int = 2
    # third factor: loss per type, loss, reward per type, reward, network or none
    modulation: str = "loss per type"
    baseline_rate: float = 0.1
    smoothness: float = 0.27
    binary: bool = False
    stimulus_noise: float = 0.0  # deviation
    single: bool = False  # the first response unit answers alone, by its sign
    newborn_blocks: bool = False
    shuffled: bool = False
    reset_activity: bool = False

    @property
    def stimuli(self):
        return int(math.log2(len(self.tables[0])))

    @property
    def onset(self):
        return self.stimulus + self.gap

    @property
    def response_at(self):
        return (self.stimuli - 1) * self.onset + self.stimulus + self.delay

    @property
    def feedback_at(self):
        return self.response_at + self.response + self.pause

    @property
    def steps(self):
        return round((self.feedback_at + self.feedback + self.rest) / self.dt)


@dataclass
class Record:
    """What a lifetime leaves: a number per trial, and the plastic weights at death, (N, N) [post, pre]."""

    loss: np.ndarray
    correct: np.ndarray
    cost: np.ndarray
    plastic: np.ndarray


class Lifetime:
    """One lifetime by the equations. Each equation is a method, so that a test can plant a fault in one."""

    def __init__(self, life):
        self.life = life
        trials = life.trials * len(life.tables)
        self.loss, self.correct, self.cost = np.zeros(trials), np.zeros(trials), np.zeros(trials)

    def run(self):
        life = self.life
        for trial in range(len(self.loss)):
            block, age = divmod(trial, life.trials)
            if not life.newborn_blocks:
                age = trial
            if age == 0:
                self.be_born()
            elif life.reset_activity:
                self.rest()
            self.trial(trial, age, life.tables[block])
        return Record(self.loss, self.correct, self.cost, self.P)

    def be_born(self):
        self.rest()
        self.P = np.zeros_like(self.life.innate)
        self.E = np.zeros_like(self.life.innate)
        self.baselines = np.zeros(len(self.life.tables[0]))
        self.m = 0.0

    def rest(self):
        life = self.life
        self.x = np.full(len(life.innate), life.start)
        for role in ("stimulus", "feedback", "bias", "echo"):
            self.x[life.roles[role]] = 0.0
        self.y = np.zeros_like(self.x)

    def trial(self, trial, age, table):
        life = self.life
        kind = stimulus(life.key, trial, life.stimuli)
        target = int(table[kind])
        outputs = []
        response = loss = fed = None
        noise = self.noise(trial, age)
        for step in range(life.steps):
            ms, xi = step * life.dt, noise[step]
            y_before = self.y
            self.x = self.moved(self.x, y_before, xi)
            self.y = self.output(self.x)
            self.clamp(ms, kind, response, fed)
            self.y[life.roles["stimulus"]] += self.noise_of_stimuli(trial, step)
            self.E = self.traced(self.E, xi, y_before, self.y)
            if life.response_at <= ms < life.response_at + life.response:
                outputs.append(self.y[life.roles["response"]])
                if ms + life.dt >= life.response_at + life.response:
                    loss, response = self.judged(np.array(outputs), target)
                    fed = self.fed_back(trial, float(response != target) if life.binary else loss)
            if life.modulation == "network":
                m_before, self.m = self.m, self.y[life.roles["modulator"][0]] - self.y[life.roles["modulator"][1]]
                self.cost[trial] += life.smoothness * (self.m - m_before) ** 2
                self.consolidate(age, self.m)
            elif ms == life.feedback_at:
                self.consolidate(age, self.third_factor(fed, kind) if life.modulation != "none" else 1.0)
        self.loss[trial] = loss
        self.correct[trial] = response == target

    def noise_of_stimuli(self, trial, step):
        """Return what is added to the two stimulus units: deviation times sqrt(-2 log u) (cos, sin) of a random turn.

        Turns are counted from an eighth before the first axis, which is how the draws are addressed.
        """
        life = self.life
        shown, within = divmod(step * life.dt, life.onset)
        if shown >= life.stimuli or within >= life.stimulus:
            return 0.0
        word, turn, *_ = philox(life.key, STIMULUS_NOISE, trial * life.steps + step)
        angle = 2 * math.pi * ((turn >> 8) / 2**24 - 1 / 8)
        radius = math.sqrt(-2 * math.log(unit(word)))
        return life.stimulus_noise * radius * np.array([math.cos(angle), math.sin(angle)])

    def judged(self, outputs, target):
        """Return loss and response: of two units against .9 and .1, of a single one against .98 or -.98"""
        if self.life.single:
            return np.mean(np.abs(outputs[:, 0] - (0.98 if target else -0.98))), int(np.mean(outputs[:, 0]) > 0)
        targets = [0.1, 0.9] if target else [0.9, 0.1]
        return np.mean(np.sum((outputs - targets) ** 2, axis=1)), int(np.argmax(np.sum(outputs, axis=0)))

    def noise(self, trial, age):
        """Return a trial's perturbations xi (steps, N): none at its start, none in the last trials of life."""
        life = self.life
        xi = np.zeros((life.steps, len(life.innate)))
        last_age = life.trials if life.newborn_blocks else len(self.loss)
        if life.rule != "hebbian" and age < last_age - life.quiet:
            first_step = round(life.unperturbed / life.dt)
            drawn = (life.key, trial, len(life.innate), life.steps, first_step, life.probability, life.amplitude)
            for step, neuron, size in perturbations(*drawn):
                xi[step, neuron] = size
        return xi

    def moved(self, x, y_before, xi):
        """x <- x + dt / tau (-x + (W + Pi P) y) + xi"""
        weights = self.life.innate + self.life.gain * self.P
        return x + self.life.dt / self.life.tau * (-x + weights @ y_before) + xi

    def output(self, x):
        """y = tanh(x), the sigmoid for response units unless one answers alone"""
        y = np.tanh(x)
        responses = [] if self.life.single else self.life.roles["response"]
        y[responses] = 1 / (1 + np.exp(-x[responses]))
        return y

    def clamp(self, ms, kind, response, fed):
        life, roles = self.life, self.life.roles
        shown, within = divmod(ms, life.onset)
        level = 0.0
        if shown < life.stimuli and within < life.stimulus:
            bit = format(kind, f"0{life.stimuli}b")[int(shown)]
            level = life.stimulus_level if bit == "1" else -life.stimulus_level
        self.y[roles["stimulus"]] = level, -level
        self.y[roles["bias"]] = life.bias_level
        self.y[roles["feedback"]] = 0.0
        self.y[roles["echo"]] = 0.0
        if response is not None and life.feedback_at <= ms < life.feedback_at + life.feedback:
            self.y[roles["feedback"]] = life.feedback_level * ((1 - 2 * fed) if life.binary else fed)
            self.y[roles["echo"][response]] = life.echo_level
        if life.single:
            self.y[roles["response"][1:]] = 0.0
        elif not life.response_at <= ms < life.response_at + life.response:
            self.y[roles["response"]] = 0.0

    def traced(self, E, xi, y_before, y):
        """E <- (1 - dt / tau_E) (E + xi y_before'), or hebbian E <- (1 - dt / tau_E) E + dt / tau_E y y_before'"""
        if self.life.rule == "hebbian":
            mixing = self.life.dt / self.life.trace_tau
            return (1 - mixing) * E + mixing * np.outer(y, y_before)
        return (1 - self.life.dt / self.life.trace_tau) * (E + np.outer(xi, y_before))

    def fed_back(self, trial, own):
        """Return the loss that is fed back: the trial's own, or an earlier trial's when feedback is shuffled."""
        age = trial % self.life.trials if self.life.newborn_blocks else trial
        if not self.life.shuffled or age == 0:
            return own
        earlier = earlier_trial(self.life.key, trial, age)
        return 1 - self.correct[earlier] if self.life.binary else self.loss[earlier]

    def third_factor(self, loss, kind):
        """m = -L_k (L - L_k), then L_k <- (1 - rate) L_k + rate L; or m = R - R_k, R = 1 - L, then R_k likewise"""
        k = kind if self.life.modulation.endswith("per type") else 0
        if self.life.modulation.startswith("reward"):
            told = 1 - loss
            m = told - self.baselines[k]
        else:
            told = loss
            m = -self.baselines[k] * (loss - self.baselines[k])
        self.baselines[k] += self.life.baseline_rate * (told - self.baselines[k])
        return m

    def consolidate(self, age, m):
        """P <- P + clip(eta m E), or hebbian P <- clip(P + eta m E, -bound, bound)"""
        change = self.life.eta * m * self.E
        if age >= self.life.burn_in:
            self.P = self.bounded(self.P + change) if self.life.rule == "hebbian" else self.P + self.clipped(change)

    def clipped(self, change):
        return np.clip(change, -self.life.clip, self.life.clip)

    def bounded(self, weights):
        return np.clip(weights, -self.life.bound, self.life.bound)
