"""The section of a meta-task's picture about its certificate: what policies that know more and more earn, as bars.

The bar of the best learner is amber where it is longer than that of the best policy that learns nothing of rewards.
"""

from __future__ import annotations

from matplotlib.offsetbox import DrawingArea, OffsetBox
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from evoplastic.analysis.canvas import FAINT, INK, SOFT
from evoplastic.analysis.statistics import share
from evoplastic.analysis.task_panel import PAID, PAID_EDGE, SMALL, sign, swatch
from evoplastic.tasks.meta.solvers.certificate import Bounds, Certificate

HEAD = "Certified reward per decision"
LEARNER = "best learner"
_NAMES, _BAR, _NUMBERS, _LINE = 62.0, 92.0, 40.0, 9.0  # points: widths of the columns, height of a line
_THICK = 6.0


def certificate_section(certificate: Certificate | None) -> dict[str, list[OffsetBox]]:
    """Return the section under its head, a line for each policy; nothing where there is no certificate."""
    if certificate is None:
        return {}
    certain = {
        name: Bounds(low=value, high=value)
        for name, value in [("random", certificate.random), ("memoryless", certificate.memoryless)]
    }
    oracle = Bounds(low=certificate.oracle, high=certificate.oracle)
    rows = {**certain, "blind": certificate.blind, LEARNER: certificate.bayes, "oracle": oracle}
    low, high = min(0.0, *(bounds.low for bounds in rows.values())), max(bounds.high for bounds in rows.values())
    scale = _BAR / max(high - low, 1e-9)
    learned = certificate.blind.high
    lines = [_line(name, row, low, scale, learned if name == LEARNER else None) for name, row in rows.items()]
    adapting = sign(swatch(PAID, PAID_EDGE), "what adapting to reward is worth")
    return {HEAD: [*lines, *([adapting] if certificate.adapting > 0 else [])]}


def _line(name: str, bounds: Bounds, origin: float, scale: float, learned: float | None) -> OffsetBox:
    """Return a name, a bar from 0 that is pale between bounds, and the value; `learned`: from where on it is amber."""
    area = DrawingArea(_NAMES + _BAR + _NUMBERS, _LINE)
    area.add_artist(_words(0, name))
    zero, low, high = (_NAMES + (value - origin) * scale for value in (0.0, bounds.low, bounds.high))
    area.add_artist(_bar(zero, low, INK if name == "oracle" else SOFT))
    area.add_artist(_bar(low, high, FAINT))
    if learned is not None and bounds.low > learned:
        area.add_artist(_bar(_NAMES + (learned - origin) * scale, low, PAID, PAID_EDGE))
    numbers = share(bounds.low) if bounds.exact else f"{share(bounds.low)} to {share(bounds.high)}"
    area.add_artist(_words(_NAMES + _BAR + 5, numbers))
    return area


def _bar(start: float, end: float, colour: str, edge: str = "none") -> Rectangle:
    left, right = min(start, end), max(start, end)
    return Rectangle(
        (left, (_LINE - _THICK) / 2), right - left, _THICK, facecolor=colour, edgecolor=edge, linewidth=0.6
    )


def _words(x: float, said: str) -> Text:
    return Text(x, _LINE / 2, said, fontsize=SMALL, color=INK, va="center_baseline")
