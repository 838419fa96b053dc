"""The networks, one file each: short declarations made of layers.

A network is a function that the decorator `npbsrn.networks.base.network` adds to the table of names. All files in this
folder are imported here.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
