"""The packed engine: networks on bits, without anything that only training needs.

In the order in which a picture meets them: `fold` makes of a trained network signs and coefficients, `pack` makes words
of signs, `kernels` count where words differ, `block` passes the stream through LB-blocks, `tail` composes the float
convolutions behind them, `ends` has what stands around those, and `engine` runs it all. Importing `kernels`, `block`,
`ends` or `engine` imports Numba.
"""
