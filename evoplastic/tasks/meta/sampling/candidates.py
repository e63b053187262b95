"""Candidates of a sample, one by its number: drawn, filtered from the cheapest to the dearest, and certified."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from evoplastic.errors import UserError
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.check import check_program
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import MetaTask
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.published import translated
from evoplastic.tasks.meta.sampling.canonical import canonical
from evoplastic.tasks.meta.sampling.certified_draws import VERSION, draw_candidate
from evoplastic.tasks.meta.sampling.coverage import Place, place_of
from evoplastic.tasks.meta.sampling.published_draws import draw_published, rejections
from evoplastic.tasks.meta.sampling.settings import SampleSettings
from evoplastic.tasks.meta.sampling.structure import flaw
from evoplastic.tasks.meta.solvers.certificate import Certificate
from evoplastic.tasks.meta.solvers.certify import Screened, Solution

UNDEFINED = "a code means nothing"
CONTRADICTING = "rules contradict each other"
UNLEARNABLE = "knowing the instance is worth too little over random play"
MEMORYLESS = "a policy without memory is nearly as good as knowing the instance"
FIXED = "one fixed policy is nearly as good in every instance as knowing it"
TOO_LARGE = "its exact solution would not fit"
LOOSE = "bounds of its values are too far apart"
UNADAPTING = "adapting to reward is worth too little"
UNGAINED = "learning is worth too little over random play"
UNIDENTIFIED = "no learner could identify the instance in time"

_PATHS = {"certified": 0, "published": 1}  # first part of a candidate's key; never change


class Candidate(NamedTuple):
    """A candidate that was examined; what comes after `rejected` is there for those that are not."""

    number: int
    rejected: str  # the filter it fails, or ""
    spec: MetaTask | None = None
    certificate: Certificate | None = None
    place: Place | None = None
    canonical: str = ""


def examine(settings: SampleSettings, number: int) -> Candidate:
    """Return the candidate of a number, examined but for what those accepted before it say of it."""
    key = stream_key(settings.seed, Purpose.TASK, _PATHS[settings.kind], number)
    return _published(settings, number, key) if settings.kind == "published" else _certified(settings, number, key)


def _published(settings: SampleSettings, number: int, key: np.uint64) -> Candidate:
    drawn = draw_published(key, settings.repaired)
    failed = rejections(drawn, settings.repaired)
    if failed:
        return Candidate(number, failed[0])
    try:
        spec = translated(drawn, f"candidate {number} of seed {settings.seed}", settings.horizon).spec
    except UserError:
        return Candidate(number, UNDEFINED)
    released = "repaired" if settings.repaired else "as released"
    spec = _named(spec, f"Drawn as by the published generator, arXiv 2302.05583, {released}", settings, number)
    return Candidate(number, "", spec, canonical=canonical(decode(spec)))


def _certified(settings: SampleSettings, number: int, key: np.uint64) -> Candidate:
    spec = draw_candidate(key, settings)
    program = decode(spec)
    rejected = flaw(program) or ("" if _is_sound(program) else CONTRADICTING)
    if rejected:
        return Candidate(number, rejected)
    try:
        return _solved(settings, number, spec, program)
    except UserError:
        return Candidate(number, TOO_LARGE)


def _solved(settings: SampleSettings, number: int, spec: MetaTask, program: Program) -> Candidate:
    """Return a candidate without a flaw, judged by its values; UserError where they or its class would not fit."""
    solution = Solution(program)
    rejected = _screened_out(settings, solution.screened)
    if rejected:
        return Candidate(number, rejected)
    certificate = solution.certificate()
    rejected = lacking(settings, certificate)
    if rejected:
        return Candidate(number, rejected)
    spec = _named(spec, f"Drawn by the certified generator, version {VERSION}", settings, number)
    return Candidate(number, "", spec, certificate, place_of(solution.situations, certificate), canonical(program))


def _is_sound(program: Program) -> bool:
    try:
        check_program(program)
    except UserError:
        return False
    return True


def _screened_out(settings: SampleSettings, screened: Screened) -> str:
    """Return the first threshold that cannot be kept whatever a learner does, or ""."""
    gains = {
        UNLEARNABLE: (screened.oracle - screened.random, settings.learnable),
        FIXED: (screened.oracle - screened.fixed, settings.least_knowing),
        MEMORYLESS: (screened.oracle - screened.memoryless, settings.adapting),
    }
    return next((name for name, (gain, least) in gains.items() if gain < least), "")


def lacking(settings: SampleSettings, certificate: Certificate) -> str:
    """Return the first threshold that a certificate does not keep, or ""."""
    steps = certificate.steps_to_90
    widths = [bounds.high - bounds.low for bounds in (certificate.blind, certificate.bayes)]
    if max(widths) > settings.loosest:
        return LOOSE
    if certificate.adapting < settings.adapting:
        return UNADAPTING
    if certificate.learnable < settings.learnable:
        return UNGAINED
    if steps is None or steps > settings.identified * certificate.horizon:
        return UNIDENTIFIED
    return ""


def _named(spec: MetaTask, generator: str, settings: SampleSettings, number: int) -> MetaTask:
    """Return the spec with a source by which it can be drawn again."""
    return msgspec.structs.replace(spec, source=f"{generator}: seed {settings.seed}, candidate {number}")
