"""The networks, one file each: short declarations made of layers.

A network is a function that `npbsrn.networks.base.network` puts into the table of names; all files of this folder are
imported here.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
