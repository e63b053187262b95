"""Where lives are computed. A new backend is a file here and a line in EVALUATORS."""

from evoplastic.evaluators.threads import Threads

EVALUATORS = {"threads": Threads}
