"""Third factors. A new one is a file here and a line in MODULATIONS; `channels` has several at once."""

from evoplastic.modulation.loss import LossSettings
from evoplastic.modulation.network import NetworkControlledSettings
from evoplastic.modulation.none import UnmodulatedSettings
from evoplastic.modulation.reward import RewardSettings
from evoplastic.modulation.td import TemporalDifferenceSettings

MODULATIONS = {
    "loss": LossSettings,
    "network_controlled": NetworkControlledSettings,
    "none": UnmodulatedSettings,
    "reward": RewardSettings,
    "td": TemporalDifferenceSettings,
}
