"""Plasticity rules. A new one is a row in `rows`, or a file here and a line in RULES."""

from evoplastic.rules.bcm import BcmSettings
from evoplastic.rules.consolidation import ConsolidationSettings
from evoplastic.rules.fixed import FixedSettings
from evoplastic.rules.floreano import FloreanoSettings
from evoplastic.rules.fluctuation import FluctuationSettings
from evoplastic.rules.homeostatic import HomeostaticSettings
from evoplastic.rules.intrinsic import IntrinsicSettings
from evoplastic.rules.node_perturbation import NodePerturbationSettings
from evoplastic.rules.polynomial import PolynomialSettings
from evoplastic.rules.rows import ROWS
from evoplastic.rules.sanger import SangerSettings
from evoplastic.rules.short_term import ShortTermSettings
from evoplastic.rules.term_settings import settings_of

RULES = {
    "bcm": BcmSettings,
    "consolidation": ConsolidationSettings,
    "fixed": FixedSettings,
    "floreano": FloreanoSettings,
    "fluctuation": FluctuationSettings,
    "homeostatic": HomeostaticSettings,
    "intrinsic": IntrinsicSettings,
    "node_perturbation": NodePerturbationSettings,
    "polynomial": PolynomialSettings,
    "sanger": SangerSettings,
    "short_term": ShortTermSettings,
    **{row.name: settings_of(row) for row in ROWS},
}
