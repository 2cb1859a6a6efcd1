"""Datasets: formats, import, what is loaded."""
