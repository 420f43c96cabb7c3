"""``python -m scpdex``, which is the command ``scpdex``."""

import sys

from scpdex.command import main

if __name__ == "__main__":
    sys.exit(main())
