"""Differentiable operations, each with its backward pass by hand.

An operation returns its result and its pullback: ``y, pull = prelu(x, slope)``, then ``dx, dslope = pull(dy)``.
The pullback takes the cotangent of the result and gives those of the arguments, in their order. What it needs
of the forward pass it holds in its closure, so no operation and no caller may change an array in place.
"""
