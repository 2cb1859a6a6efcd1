"""Verdicts from samples: conditions, statistics, decisions. Pure."""
