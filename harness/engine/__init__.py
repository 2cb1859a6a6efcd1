"""Networks, datasets, optimisers, masks and the fused training loop.

Shape suffixes used in comments: R replicas, B examples of a batch, N examples of a set, P parameters,
C channels, K classes, A points on a line.
"""
