"""Training outside of the package: a program for a GPU, and the states of runs from which they go on."""
