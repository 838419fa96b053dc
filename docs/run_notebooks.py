"""Execute the notebooks of docs/notebooks, and write them back with their outputs; ``--check`` writes nothing.

``python docs/run_notebooks.py [--check]``, after ``pip install '.[docs]'``. A cell that fails is an error. The training
takes three minutes; $NPBSRN_NOTEBOOK_MINUTES says otherwise, for a quick look.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "notebooks"
SECONDS = 1800  # that a cell may take
KEPT = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(
            notebook, timeout=SECONDS, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}
        ).execute()
        notebook.metadata = KEPT  # without the versions of this machine
        if not check:
            nbformat.write(notebook, path)
        print(f"{path} is {'executed' if check else 'written'}")


if __name__ == "__main__":
    main()
