"""Strategies: how the search moves, over vectors only. A new one is a file here and a line in STRATEGIES."""

from evoplastic.strategies.contract import StrategySettings
from evoplastic.strategies.openai_es import OpenAIESSettings

# The settings of each strategy, by the `type` that a run file gives.
STRATEGIES: dict[str, type[StrategySettings]] = {"openai_es": OpenAIESSettings}
