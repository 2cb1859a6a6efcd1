"""The regression guard: a fresh run of a spec against a committed baseline. Reading apart, all of it is pure."""
