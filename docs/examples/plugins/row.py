"""A rule that is a row of data: covariance with decay, P <- clip(P + eta (m x y - decay P)), nothing to compile."""

from evoplastic.rules.contract import Account
from evoplastic.rules.term_settings import Coefficient, Row, Term, settings_of

ACCOUNT = Account(
    equation="P <- clip(P + eta m x y - eta decay P)",
    latex=r"P \leftarrow \mathrm{clip}(P + \eta\, m\, x y - \eta\, \mathrm{decay}\, P)",
    symbols={"P": "the plastic weight", "x": "sent a step before", "y": "what the receiving unit sends"},
)
FADING = Row(
    name="fading_hebb",
    summary="Hebb under a third factor, with a decay that needs none.",
    coefficients={"eta": Coefficient(0.05), "decay": Coefficient(0.1, least=0.0, most=1.0)},
    terms=(Term(("eta",), pre=1, post=1), Term(("eta", "decay"), weight=1, factor=-1.0, gated=False)),
    account=ACCOUNT,
    bound=2.0,
)
FadingHebbSettings = settings_of(FADING)

RULES = {"fading_hebb": FadingHebbSettings}
