"""The course of a request: from a spec to its outcome."""
