"""``python -m npbsrn``."""

import sys

from npbsrn.cli import main

sys.exit(main())
