"""Kinds of life. A new one is a file here and a line in PROBLEMS."""

from evoplastic.problems.lifetimes import LifetimesSettings
from evoplastic.problems.tabular import TabularSettings

PROBLEMS = {"lifetimes": LifetimesSettings, "tabular": TabularSettings}
