"""Layouts of data sets: what names say, which pictures belong together."""
