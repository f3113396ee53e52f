"""Makes `python -m rl3_sb3` the same as the command `rl3`."""

import sys

from rl3_sb3.experiments.cli import main

if __name__ == "__main__":
    sys.exit(main())
