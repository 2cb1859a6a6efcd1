"""What every experiment must keep, as tests: ``pytest --pyargs harness.conformance``, with ``-k NAME`` for one.

They are run for every experiment that is found, those of packages outside too. Each needs a spec as small as can be in
its folder: ``tiny.yaml``, with the scale ``toy``.
"""
