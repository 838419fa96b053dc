"""The packed engine: networks on bits, without anything that only training needs.

In the order in which a picture meets them: `fold` makes of a trained network signs and coefficients, `pack` makes words
of signs, `kernels` count where words differ (`look_up` in another way), `glue` goes from counts to the next words,
`block` passes the stream through LB-blocks by these two, `tail` composes the float convolutions behind them,
`float_end` and `direct_tail` compute these, `ends` has what stands around them, and `engine` runs it all. Importing
`kernels`, `glue`, `block`, `ends`, `float_end`, `direct_tail` or `engine` imports Numba.
"""
