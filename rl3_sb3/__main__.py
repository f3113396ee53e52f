"""`python -m rl3_sb3` is the command line `rl3`."""

import os
import sys

from rl3_sb3.experiments.cli import main

if __name__ == "__main__":
    status = main()
    if "WORLD_SIZE" in os.environ:
        # Under torchrun the communication's threads can abort a process that tears itself down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
