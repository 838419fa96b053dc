"""Differentiable operations, each with its backward pass by hand.

An operation returns its result and its pullback: ``y, pull = prelu(x, slope)``, then ``dx, dslope = pull(dy)``. The
pullback takes the cotangent of the result and returns those of the arguments, in their order. Its closure holds what it
needs from the forward pass, so no operation and no caller may change an array in place.
"""
