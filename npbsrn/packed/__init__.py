"""The packed engine: networks on bits, without anything that only training needs.

`lower` turns a trained network into a `plan`, and `format` stores it in a file (`legacy` reads files of the first
version). In the order in which a picture passes through them: `program` turns a plan's blocks into the arrays that a
kernel walks through, `workspace` allocates their memory, `wavefront` runs all steps on bits, and `epilogues` go from
counts to the next words; `reference` does the same in plain NumPy. `tail` composes the float convolutions behind the
blocks, `float_end` computes them, `ends` prepares their inputs and outputs, `direct_tail` is for networks without
shuffle stages, and `engine` runs everything. Importing `wavefront`, `epilogues`, `ends`, `float_end`, `direct_tail` or
`engine` imports Numba.
"""
