"""The packed engine: networks on bits, without anything that only training needs.

`lower` makes of a trained network a `plan`, which `format` keeps in a file (`legacy` reads files of the first version).
In the order in which a picture meets them: `program` makes of a plan's blocks what a kernel walks by, `workspace` is
the memory for it, `wavefront` passes the picture through all steps on bits, and `epilogues` go from counts to the next
words; `reference` is the same in plain NumPy. `tail` composes the float convolutions behind the blocks, `float_end`
computes these, `ends` has what stands around them, `direct_tail` is for networks without stages, and `engine` runs it
all. Importing `wavefront`, `epilogues`, `ends`, `float_end`, `direct_tail` or `engine` imports Numba.
"""
