"""What holds for all tests."""

import multiprocessing
import sys

import pytest

# To ask is to fix it: importing torchrl would otherwise switch this process to "spawn", and worker
# processes of later tests could not find the functions that those define.
multiprocessing.get_start_method()


@pytest.fixture(autouse=True)
def _same_search_path(monkeypatch):
    """Forget the folders of a test's own modules: processes of the next test start here."""
    monkeypatch.setattr(sys, "path", [*sys.path])
