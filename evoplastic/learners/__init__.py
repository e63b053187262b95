"""Learners with a table in the place of a network. A new one is a file here and a line in LEARNERS."""

from evoplastic.learners.q_learning import QLearningSettings
from evoplastic.learners.qss import QSSSettings
from evoplastic.learners.thompson import ThompsonSettings
from evoplastic.learners.win_stay import WinStaySettings

LEARNERS = {
    "q_learning": QLearningSettings,
    "qss": QSSSettings,
    "thompson": ThompsonSettings,
    "win_stay": WinStaySettings,
}
