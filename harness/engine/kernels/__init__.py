"""Compiled loops for small networks on the CPU; ``choice`` tells where they are used."""
