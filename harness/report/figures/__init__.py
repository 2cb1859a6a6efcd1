"""Drawings of the reports, as SVG."""
