"""What tests of a process's surroundings share."""

import ctypes
import os
import sys

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and the first one may compile.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def obey_permissions():
    """To be called in a process about to start: root gives up writing where it is forbidden."""

    def obey():
        if sys.platform == "linux" and os.geteuid() == 0:
            PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)

    return obey
