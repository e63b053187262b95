"""Strategies: how the search moves, over vectors only. A new one is a file here and a line in STRATEGIES."""

from evoplastic.strategies.cma_es import CMAESSettings
from evoplastic.strategies.contract import StrategySettings
from evoplastic.strategies.genetic import GeneticSettings
from evoplastic.strategies.lm_ma_es import LMMAESSettings
from evoplastic.strategies.openai_es import OpenAIESSettings
from evoplastic.strategies.pgpe import PGPESettings
from evoplastic.strategies.random_search import RandomSearchSettings
from evoplastic.strategies.snes import SNESSettings

# The settings of each strategy, by the `type` that a run file gives.
STRATEGIES: dict[str, type[StrategySettings]] = {
    "openai_es": OpenAIESSettings,
    "cma_es": CMAESSettings,
    "genetic": GeneticSettings,
    "lm_ma_es": LMMAESSettings,
    "pgpe": PGPESettings,
    "random_search": RandomSearchSettings,
    "snes": SNESSettings,
}
