"""Architectures. A new one is a file here and a line in NETWORKS."""

from evoplastic.networks.leaky import LeakySettings

NETWORKS = {"leaky": LeakySettings}
