"""The options that several commands share."""

from argparse import Namespace

import pytest
import torch as th

from rl3_sb3.experiments.commands.options import use_machine
from rl3_sb3.experiments.errors import InputError


@pytest.mark.parametrize(
    ("threads", "words"), [(0, "at least 1, got 0"), (1025, "at most 1024, got 1025. Pass the")]
)
def test_more_or_fewer_threads_than_a_process_can_have_are_refused(monkeypatch, threads, words):
    set_to = []
    monkeypatch.setattr(th, "set_num_threads", set_to.append)
    with pytest.raises(InputError, match=f"`--threads` must be {words}"):
        use_machine(Namespace(threads=threads, device="auto"))
    use_machine(Namespace(threads=1024, device="auto"))
    assert set_to == [1024]
