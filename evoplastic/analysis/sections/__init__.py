"""The sections of an analysis, in their order; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from evoplastic.analysis.sections.arms import arms
from evoplastic.analysis.sections.contract import Case, Section
from evoplastic.analysis.sections.course import course
from evoplastic.analysis.sections.decoding import decoding
from evoplastic.analysis.sections.generalisation import generalisation
from evoplastic.analysis.sections.learning import learning_in_life
from evoplastic.analysis.sections.network import network
from evoplastic.analysis.sections.relearning import relearning
from evoplastic.analysis.sections.rule import rule
from evoplastic.analysis.sections.sensitivity import sensitivity

__all__ = ["SECTIONS", "Case", "Section"]

SECTIONS: dict[str, Callable[[Case], Section]] = {
    "course": course,
    "learning": learning_in_life,
    "relearning": relearning,
    "generalisation": generalisation,
    "arms": arms,
    "rule": rule,
    "sensitivity": sensitivity,
    "network": network,
    "decoding": decoding,
}
