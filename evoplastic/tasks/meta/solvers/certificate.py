"""What a meta-task asks of a learner, proven: the values of policies that know more or less, and what follows.

All values are under one criterion: undiscounted mean reward per decision over the task's horizon H, over instances,
play and chance. Where the Bayes-adaptive value is not exact, proven bounds are given.

    oracle      knows the instance and sees state, flags, counters and changing variables
    qmdp        the upper bound that an oracle who learns everything after the next action gives
    bayes       sees what a learner sees, knows the meta-task but not the instance, and plans for what it may learn
    blind       as bayes, but never told a reward: the best that cues and the clock allow, so that nothing can be
                learned from reward; the certificate's "best non-adapting" policy, from above
    memoryless  the best map from what is shown to an action, or random play where that is better
    constant    the best single action, for ever
    fixed       the best map from (flags, counters, state) to an action, which sees more than a learner does
    random      actions drawn evenly

    oracle >= qmdp >= bayes >= blind >= memoryless >= constant, random;   oracle >= fixed >= constant

Of more maps than can be tried one by one the best is given that changing one choice at a time finds: memoryless and
fixed are then lower bounds.
"""

from __future__ import annotations

import msgspec

FORMAT = "evoplastic.certificate"
CRITERION = "undiscounted mean reward per decision over the horizon"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a certificate."""


class Bounds(Part, frozen=True, kw_only=True):
    """A value, or the bounds that are proven for it."""

    low: float
    high: float

    @property
    def exact(self) -> bool:
        """Whether the bounds meet, to 1e-9."""
        return self.high - self.low <= 1e-9


class Certificate(Part, frozen=True, kw_only=True):
    """What is proven of a meta-task; shares are of 1, values per decision."""

    format: str = FORMAT
    version: int = 1
    criterion: str = CRITERION
    horizon: int
    instances: int  # as a learner meets them, stimuli included
    discretised: bool  # whether probabilities between bounds were replaced by levels
    random: float
    constant: float
    memoryless: float
    fixed: float
    all_maps: bool  # whether memoryless and fixed are the best of all maps; else they are lower bounds
    blind: Bounds
    bayes: Bounds
    qmdp: float
    oracle: float
    beliefs: int  # nodes of the Bayes-adaptive solution
    reachable: float  # share of states that some policy reaches
    distinguishable: int  # classes of instances that a learner could ever tell apart
    steps_to_90: (
        int | None
    )  # decisions until a Bayesian gains 90 % of what it ever gains per decision; None: gains nothing
    reward_density: float  # share of decisions that pay anything under random play
    aliasing: float  # share of pairs of reachable states that show the same

    @property
    def adapting(self) -> float:
        """The proven value of adapting to reward: bayes (low) - blind (high)."""
        return self.bayes.low - self.blind.high

    @property
    def memory(self) -> float:
        """The proven value of memory, of cues and rewards: bayes (low) - memoryless, which is no more than blind."""
        return self.bayes.low - (self.memoryless if self.all_maps else self.blind.high)

    @property
    def proven(self) -> dict[str, float]:
        """What is proven for sure, by name: of the Bayesian the lower bound, of the blind the upper one."""
        return {
            "random": self.random,
            "memoryless": self.memoryless,
            "blind": self.blind.high,
            "bayes": self.bayes.low,
            "oracle": self.oracle,
            "adapting": self.adapting,
        }

    @property
    def learnable(self) -> float:
        """What a learner can gain over random play: bayes (low) - random."""
        return self.bayes.low - self.random
