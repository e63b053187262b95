"""Plasticity rules. A new one is a file here and a line in RULES."""

from evoplastic.rules.fixed import FixedSettings
from evoplastic.rules.hebbian import HebbianSettings
from evoplastic.rules.node_perturbation import NodePerturbationSettings

RULES = {"fixed": FixedSettings, "hebbian": HebbianSettings, "node_perturbation": NodePerturbationSettings}
