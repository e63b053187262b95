"""Exact values of meta-tasks: of random play, of who knows the instance, of policies and of Bayesian learners."""
