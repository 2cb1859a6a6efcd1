"""States to numbers: evaluation, interpolation, distances. Pure torch."""
