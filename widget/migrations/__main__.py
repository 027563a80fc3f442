"""`python -m widget.migrations "Remember what was paid"` writes the next revision from the models."""

import sys

from widget.migrations import revise

revise(" ".join(sys.argv[1:]))
