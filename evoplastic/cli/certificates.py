"""What a certificate says to a person: a table of policies, what follows in sentences, and the file beside a spec."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evoplastic.errors import UserError

if TYPE_CHECKING:
    from evoplastic.tasks.meta.language import MetaTask
    from evoplastic.tasks.meta.solvers.certificate import Bounds, Certificate

ENDING = ".certificate.json"
_POLICIES = {
    "random": "actions drawn evenly",
    "constant": "the best single action, for ever",
    "memoryless": "the best map from what is shown to an action",
    "fixed": "the best map from states and flags, which no learner sees",
    "blind": "remembers what is shown, is never told a reward",
    "bayes": "the best learner: sees what is shown and what is paid",
    "qmdp": "is told the instance after its next decision; a bound",
    "oracle": "knows the instance and sees its state",
}


def certificate_path(spec: Path) -> Path:
    """Return where the certificate of a spec's file lies: beside it."""
    return spec.with_name(f"{spec.stem}{ENDING}")


def as_json(certificate: Certificate) -> dict[str, Any]:
    """Return a certificate in the words of JSON, in the order in which it is declared."""
    import msgspec

    return dict(msgspec.to_builtins(certificate))


def as_file(certificate: Certificate) -> bytes:
    """Return the bytes of a certificate's file."""
    return f"{json.dumps(as_json(certificate), indent=2)}\n".encode()


def certificate_beside(name: str, spec: MetaTask) -> Certificate | None:
    """Return the certificate that lies beside the file of a spec; None if there is none.

    UserError for a file that is none, or not of this spec.
    """
    import msgspec

    from evoplastic.tasks.meta.solvers.certificate import FORMAT, Certificate
    from evoplastic.tasks.specs import find_spec

    path = certificate_path(find_spec(name))
    if not path.is_file():
        return None
    try:
        certificate = msgspec.json.decode(path.read_bytes(), type=Certificate)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} cannot be read as a certificate: {error}; remove it or put it back") from None
    if (certificate.format, certificate.version) != (FORMAT, 1):
        found = f"{certificate.format!r} version {certificate.version}"
        raise UserError(f"{path} must be of format {FORMAT!r} version 1, got {found}; remove it or put it back")
    if not _of(certificate, spec):
        raise UserError(
            f"{path} certifies another task than {name} now is; remove it, and see `evoplastic tasks certify {name}`"
        )
    return certificate


def _of(certificate: Certificate, spec: MetaTask) -> bool:
    """Return whether the values are those of the spec; bounds must overlap, for some are grown further than others."""
    from evoplastic.tasks.meta.decode import decode
    from evoplastic.tasks.meta.solvers.certify import Screened, certify

    if certificate.horizon != spec.horizon:
        return False
    known = certify(decode(spec))
    bounds = (known.blind, certificate.blind), (known.bayes, certificate.bayes)
    return all(abs(getattr(known, name) - getattr(certificate, name)) < 1e-6 for name in Screened._fields) and all(
        max(ours.low, theirs.low) < min(ours.high, theirs.high) + 1e-6 for ours, theirs in bounds
    )


def policies(certificate: Certificate) -> list[tuple[str, str, str]]:
    """Return the rows of a table: policies in the order of what they earn, what that is, and what they know."""
    head = ("policy", "per decision", "what it knows or does")
    width = max(map(len, _POLICIES.values()))
    rows = [(name, _value(getattr(certificate, name)), what.ljust(width)) for name, what in _POLICIES.items()]
    return [(*head[:2], head[2].ljust(width)), *rows]


def headline(certificate: Certificate) -> str:
    """Return in a sentence what adapting to reward is worth."""
    learner, blind, random = _short(certificate.bayes), _short(certificate.blind), _short(certificate.random)
    exact = certificate.bayes.exact and certificate.blind.exact
    if certificate.adapting > 1e-9:
        worth = f"{'' if exact else 'at least '}{_short(certificate.adapting)} per decision"
        begin = f"Adapting to reward is worth {worth}"
    else:
        begin = f"{'Nothing is' if exact else 'It is not proven that anything is'} gained by adapting to reward"
    earned = f"the best learner earns {learner}, the best that is never told a reward {blind}, random play {random}"
    return f"{begin}: {earned}."


def explained(certificate: Certificate) -> Iterator[str]:
    """Yield in sentences what is proven."""
    from evoplastic.tasks.meta.phrases import counted

    yield headline(certificate)
    memory = max(certificate.memory, 0.0)
    yield f"Memory of what was shown and paid is worth {_at_least(certificate.bayes)}{_short(memory)} per decision."
    if certificate.steps_to_90 is not None:
        since = f"After {counted(certificate.steps_to_90, 'decision')}" if certificate.steps_to_90 else "From the start"
        yield f"{since} the best learner gains 90 % of what being told rewards ever gains it per decision."
    levels = "; chances between bounds are replaced by 5 levels" if certificate.discretised else ""
    yield (
        f"{counted(certificate.horizon, 'decision')}; {counted(certificate.instances, 'instance')}, of which a learner "
        f"can tell {certificate.distinguishable} apart{levels}."
    )
    yield (
        f"{_percent(certificate.reachable)} of the states can be reached, {_percent(certificate.aliasing)} of their "
        f"pairs look alike, and under random play {_percent(certificate.reward_density)} of decisions pay."
    )
    yield _judged(certificate)


def _judged(certificate: Certificate) -> str:
    """Return in a sentence whether the values of a task would let it into a sample."""
    from evoplastic.tasks.meta.sampling.candidates import FIXED, lacking
    from evoplastic.tasks.meta.sampling.settings import SampleSettings

    settings = SampleSettings()
    known = certificate.oracle - certificate.fixed >= settings.least_knowing
    reason = lacking(settings, certificate) or ("" if known else FIXED)
    if reason:
        return f"A sample with the default settings would not take such a task: {reason}."
    return "A sample with the default settings would take such a task."


def _value(value: float | Bounds) -> str:
    if isinstance(value, (int, float)):
        return f"{value + 0.0:.4f}"
    return f"{value.low + 0.0:.4f}" if value.exact else f"{value.low + 0.0:.4f} to {value.high + 0.0:.4f}"


def _short(value: float | Bounds) -> str:
    """Return a value in three digits: .123, 1.250, .123 to .130."""
    if isinstance(value, (int, float)):
        return re.sub(r"^(-?)0\.", r"\1.", f"{round(value, 3) + 0.0:.3f}")
    return _short(value.low) if value.exact else f"{_short(value.low)} to {_short(value.high)}"


def _at_least(value: Bounds) -> str:
    return "" if value.exact else "at least "


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
