"""What a learner without a network is to a life: what it remembers, how it chooses, what an outcome teaches it.

A learner is a NamedTuple of coefficients with the methods below; its memory is a NamedTuple of arrays that the methods
change in place. It is told symbols, rewards and when trials end, and never a state. A symbol is the number of what is
shown, 0 to `symbols` - 1; a reward is a share of the largest amount that a decision can pay or cost, as networks are
told it. `words` are four random uint32 of this decision: the first says whether to explore (or draws what the choice
hangs on), the second which action, the third which of equally good ones.

Its settings say which of its coefficients are genes (`blocks`), what it is `told` that a network is not, what it
`knows` of a meta-task before its life begins (mostly nothing), and `build` it from coefficients and that.
"""

from __future__ import annotations

from evoplastic.jit import making_open_function, open_function


@making_open_function
def newborn(learner, symbols, actions):
    """Return the learner's memory at birth."""


@open_function
def choose(learner, memory, seen, words):
    """Return the action for what is seen."""


@open_function
def learn(learner, memory, seen, action, reward, following, ended):
    """Let the memory know what came of an action: a reward and the next symbol; `ended` 1: the trial is over."""
