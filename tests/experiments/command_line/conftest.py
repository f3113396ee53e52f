"""A complete run that a test may change."""

import shutil

import pytest


@pytest.fixture
def copied(trained, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(trained.path, path)
    return path
