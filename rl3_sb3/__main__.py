"""Run the command line `rl3` as `python -m rl3_sb3`."""

import os
import sys

from rl3_sb3.experiments.cli import main

if __name__ == "__main__":
    status = main()
    if "WORLD_SIZE" in os.environ:
        # A thread of gloo outlives the process group and may still have to release a tensor. If it
        # asks for the interpreter's lock while the interpreter exits, the process aborts.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
