"""The rules that are rows of data: each a sum of terms c * m * x^a * y^b * P^d * E^e, see `terms`.

A row makes the settings of a run file: its coefficients are their fields. A new rule of this kind is a row in ROWS.
Coefficients are per step, and may differ between units or synapses [pre, post]; m is a third factor, 1 at every step
under modulation "none".
"""

from __future__ import annotations

from evoplastic.rules.contract import Account
from evoplastic.rules.term_settings import Coefficient, Row, Term

_RATE = Coefficient(0.01)
_SHARE = Coefficient(0.01, 0.0, 1.0)  # 1: the new value replaces the old one at once
_UPWARD = Coefficient(0.01, 0.0)

_X, _Y = {"x": "what the sending unit sent a step before"}, {"y": "what the receiving unit sends"}
_P, _E = {"P": "the plastic weight"}, {"E": "the trace of x y", "k": "dt / trace_tau"}
_M = {"m": "the third factor"}
_ALL = _X | _Y | _P | _M

_FLOREANO = "Floreano and Urzelai 2000, Evolutionary robots with on-line self-organization and behavioral fitness"
_BACKPROPAMINE = "Miconi, Rawal, Clune, Stanley 2019, Backpropamine, arXiv 2002.10585"
_NAJARRO = "Najarro and Risi 2020, Meta-learning through Hebbian plasticity in random networks"
_GROSSBERG = "Grossberg 1976, Adaptive pattern classification and universal recoding"

ROWS = (
    Row(
        "abcd",
        "Hebb, a term of each unit's rate alone, and a constant drift, each with a coefficient of its own.",
        {"A": _RATE, "B": Coefficient(0.0), "C": Coefficient(0.0), "D": Coefficient(0.0)},
        (Term(("A",), pre=1, post=1), Term(("B",), pre=1), Term(("C",), post=1), Term(("D",))),
        Account(
            "P <- clip(P + m (A x y + B x + C y + D))",
            r"P \leftarrow \mathrm{clip}(P + m\,(A\, x y + B\, x + C\, y + D))",
            _ALL,
            references=(_NAJARRO,),
        ),
        bound=10.0,
    ),
    Row(
        "abcd_rate",
        "ABCD with a learning rate.",
        {"eta": _RATE, "A": Coefficient(1.0), "B": Coefficient(0.0), "C": Coefficient(0.0), "D": Coefficient(0.0)},
        (
            Term(("eta", "A"), pre=1, post=1),
            Term(("eta", "B"), pre=1),
            Term(("eta", "C"), post=1),
            Term(("eta", "D")),
        ),
        Account(
            "P <- clip(P + eta m (A x y + B x + C y + D))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\,(A\, x y + B\, x + C\, y + D))",
            _ALL,
            references=(_NAJARRO,),
        ),
        bound=10.0,
    ),
    Row(
        "anti_hebb",
        "Anti-Hebb: what is active together comes apart.",
        {"eta": _UPWARD},
        (Term(("eta",), pre=1, post=1, factor=-1.0),),
        Account(
            "P <- clip(P - eta m x y)",
            r"P \leftarrow \mathrm{clip}(P - \eta\, m\, x y)",
            _ALL,
            references=("Foldiak 1990, Forming sparse representations by local anti-Hebbian learning",),
        ),
        bound=1.0,
    ),
    Row(
        "clipped_hebb",
        "Hebb within bounds, times the third factor of the moment: simple neuromodulation.",
        {"eta": _RATE},
        (Term(("eta",), pre=1, post=1),),
        Account(
            "P <- clip(P + eta m x y)",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\, x y)",
            _ALL,
            references=(_BACKPROPAMINE,),
        ),
        bound=1.0,
    ),
    Row(
        "covariance",
        "Hebb between what differs from each unit's running mean.",
        {"eta": _RATE},
        (Term(("eta",), pre=1, post=1),),
        Account(
            "P <- clip(P + eta m (x - xbar) (y - ybar))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\,(x - \bar{x})(y - \bar{y}))",
            _ALL | {"xbar": "the running mean of x", "ybar": "the running mean of y"},
            ("mean of x", "mean of y"),
            ("Sejnowski 1977, Storing covariance with nonlinearly interacting neurons",),
        ),
        centered=True,
    ),
    Row(
        "decaying_hebb",
        "Hebb, and a decay that asks for no third factor.",
        {"eta": _RATE, "decay": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("decay",), weight=1, factor=-1.0, gated=False)),
        Account(
            "P <- clip(P + eta m x y - decay P)",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\, x y - \mathrm{decay}\, P)",
            _ALL,
        ),
    ),
    Row(
        "fan_out",
        "A trace written at a rate that follows the third factor: retroactive neuromodulation fanned out.",
        {"u": Coefficient(0.1), "c": Coefficient(0.0)},
        (Term(("u",), trace=1), Term(("c",), trace=1, gated=False)),
        Account(
            "E <- (1 - k) E + k x y;  P <- clip(P + (u m + c) E)",
            r"E \leftarrow (1 - k) E + k\, x y, \qquad P \leftarrow \mathrm{clip}(P + (u\, m + c)\, E)",
            _ALL | _E,
            ("trace",),
            (_BACKPROPAMINE,),
        ),
        bound=1.0,
    ),
    Row(
        "floreano_plain",
        "Floreano's plain Hebb: weights grow only, the slower the larger they are.",
        {"eta": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("eta",), pre=1, post=1, weight=1, factor=-1.0)),
        Account(
            "P <- clip(P + eta m (1 - P) x y)",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\,(1 - P)\, x y)",
            _ALL,
            references=(_FLOREANO,),
        ),
        bound=1.0,
    ),
    Row(
        "floreano_post",
        "Floreano's postsynaptic rule: an active receiver weakens what silent units send.",
        {"eta": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("eta",), post=1, weight=1, factor=-1.0)),
        Account(
            "P <- clip(P + eta m (P (x - 1) y + (1 - P) x y))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\,(P (x - 1) y + (1 - P)\, x y))",
            _ALL,
            references=(_FLOREANO,),
        ),
        bound=1.0,
    ),
    Row(
        "floreano_pre",
        "Floreano's presynaptic rule: an active sender weakens its synapses on silent units.",
        {"eta": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("eta",), pre=1, weight=1, factor=-1.0)),
        Account(
            "P <- clip(P + eta m (P x (y - 1) + (1 - P) x y))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\,(P x (y - 1) + (1 - P)\, x y))",
            _ALL,
            references=(_FLOREANO,),
        ),
        bound=1.0,
    ),
    Row(
        "hebbian",
        "Hebb with a trace that a later third factor writes: retroactive neuromodulation.",
        {"eta": Coefficient(0.1)},
        (Term(("eta",), trace=1),),
        Account(
            "E <- (1 - k) E + k x y;  P <- clip(P + eta m E)",
            r"E \leftarrow (1 - k) E + k\, x y, \qquad P \leftarrow \mathrm{clip}(P + \eta\, m\, E)",
            _ALL | _E,
            ("trace",),
            (_BACKPROPAMINE,),
        ),
        bound=1.0,
        every_step=False,
    ),
    Row(
        "heterosynaptic",
        "Hebb, and a pull of all synapses of a very active unit to w0.",
        {"eta": _RATE, "beta": _SHARE, "w0": Coefficient(0.0)},
        (
            Term(("eta",), pre=1, post=1),
            Term(("beta",), post=4, weight=1, factor=-1.0, gated=False),
            Term(("beta", "w0"), post=4, gated=False),
        ),
        Account(
            "P <- clip(P + eta m x y - beta y^4 (P - w0))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\, x y - \beta\, y^4 (P - \mathrm{w0}))",
            _ALL,
            references=("Zenke, Agnes, Gerstner 2015, Nature Communications 6, 6922",),
        ),
    ),
    Row(
        "instar",
        "Weights of an active unit go to what it is sent: the mean of x, given y.",
        {"eta": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("eta",), post=1, weight=1, factor=-1.0)),
        Account(
            "P <- clip(P + eta m y (x - P))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\, y (x - P))",
            _ALL,
            references=(_GROSSBERG,),
        ),
    ),
    Row(
        "oja",
        "Hebb, kept small by the receiving unit's rate: a linear unit finds the first principal component.",
        {"eta": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("eta",), post=2, weight=1, factor=-1.0)),
        Account(
            "P <- clip(P + eta m y (x - y P))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\, y (x - y P))",
            _ALL,
            references=(
                "Oja 1982, A simplified neuron model as a principal component analyzer",
                "Miconi, Clune, Stanley 2018, Differentiable plasticity, arXiv 1804.02464",
            ),
        ),
    ),
    Row(
        "outstar",
        "Weights of an active sender go to what its targets send: the mean of y, given x.",
        {"eta": _SHARE},
        (Term(("eta",), pre=1, post=1), Term(("eta",), pre=1, weight=1, factor=-1.0)),
        Account(
            "P <- clip(P + eta m x (y - P))",
            r"P \leftarrow \mathrm{clip}(P + \eta\, m\, x (y - P))",
            _ALL,
            references=(_GROSSBERG,),
        ),
    ),
    Row(
        "running_mean",
        "The running mean of x y: the decaying trace of differentiable plasticity.",
        {"eta": _SHARE},
        (
            Term(("eta",), pre=1, post=1, gated=False),
            Term(("eta",), weight=1, factor=-1.0, gated=False),
        ),
        Account(
            "P <- clip((1 - eta) P + eta x y)",
            r"P \leftarrow \mathrm{clip}((1 - \eta)\, P + \eta\, x y)",
            _X | _Y | _P,
            references=("Miconi, Clune, Stanley 2018, Differentiable plasticity, arXiv 1804.02464",),
        ),
    ),
)
