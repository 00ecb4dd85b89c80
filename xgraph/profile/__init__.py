"""Where the time of a network goes, by the names of its `.xg`.

places    from the names of kernels to the parts of the network
kernels   what ONNX Runtime measured; `modules`: what PyTorch did
measure   runs a network, and makes the `Profile` of it
"""

from xgraph.profile.measure import Profile, profile

__all__ = ["Profile", "profile"]
