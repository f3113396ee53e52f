"""What holds for all tests."""

import multiprocessing

# To ask is to fix it: importing torchrl would otherwise switch this process to "spawn", and worker
# processes of later tests could not find the functions that those define.
multiprocessing.get_start_method()
