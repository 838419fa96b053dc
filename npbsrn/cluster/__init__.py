"""Many pictures by the processes of several machines, over Dask."""
