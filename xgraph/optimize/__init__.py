"""Tensor-level passes for inference: the same outputs in less time.

Each takes an `Optimized` network and gives another; what its parameters are made of is carried
along (`sources`), so that an optimised network loads the weights of the network as it was written,
and the other way round.
"""
