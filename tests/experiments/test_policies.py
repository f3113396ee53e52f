"""Networks of one's own on the command line, by MODULE:NAME."""

import subprocess
import sys

import pytest
import torch as th

from rl3_sb3 import TransformerPPO, load_policy, policy
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.named import attribute_of
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.settings.run_config import RunConfig

MODULE = """
from rl3_sb3 import SequencePolicy
from rl3_sb3.networks.lstm import Lstm


class Halved(Lstm):
    def __init__(self, input_dim, output_dim, *, hidden=8, n_layers=1, input_hidden=6):
        super().__init__(
            input_dim, output_dim, hidden=hidden, n_layers=n_layers, input_hidden=input_hidden
        )

    def forward(self, tokens, *, bootstrap=False):
        return super().forward(tokens / 2, bootstrap=bootstrap)

    def static_step(self, token, memory, tensors):
        return super().static_step(token / 2, memory, tensors)


class Own(SequencePolicy):
    network = Halved


class Nothing(SequencePolicy):
    pass


number = 3
"""
TINY = ["--horizon", "20", "--n-envs", "4", "--batch-size", "40", "--iterations", "2"]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module beside the user's."""
    name = f"my_networks_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    known = {*policy.POLICIES}
    yield name
    for added in policy.POLICIES.keys() - known:
        del policy.POLICIES[added]


def test_ones_own_network_is_trained_evaluated_prolonged_and_loaded(module, capsys):
    name = f"{module}:Own"
    words = ["--policy", name, "--set", "policy.hidden=12", *TINY, "--out", "run"]
    assert main(["train", "bandit", *words]) == 0
    assert main(["evaluate", "run", "--tasks", "3"]) == 0
    assert main(["train", "bandit", *words, "--iterations", "3"]) == 0
    assert main(["table", "run"]) == 0
    assert "RL³ (policy Own, policy.hidden 12" in capsys.readouterr().out
    config = RunDirectory("run").config_file.read()
    assert config.policy_arguments["hidden"] == 12
    loaded = load_policy("run/policy")
    assert type(loaded).__name__ == "Own"
    assert loaded.actor.lstm.hidden_size == 12


def test_another_process_reads_the_run_and_not_the_policy_alone(module):
    name = f"{module}:Own"
    assert main(["train", "bandit", "--policy", name, *TINY, "--out", "run"]) == 0
    rl3 = [sys.executable, "-m", "rl3_sb3"]
    subprocess.run([*rl3, "evaluate", "run", "--tasks", "3"], check=True, capture_output=True)
    code = "import rl3_sb3; rl3_sb3.load_policy('run/policy')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "PolicyFileError" in done.stderr
    assert "one of TransformerPolicy, LstmPolicy, MarkovPolicy at 'policy', got '" in done.stderr
    assert "call `rl3_sb3.register_policy` first" in done.stderr


def test_a_run_of_ones_own_network_begins_another(module):
    name = f"{module}:Own"
    assert main(["train", "bandit", "--policy", name, *TINY, "--out", "first"]) == 0
    more = ["--policy", name, *TINY, "--start-from", "first", "--out", "second"]
    assert main(["train", "bandit", *more]) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("LstmPolicyy", r"MODULE:NAME of your own, got 'LstmPolicyy'. Did you mean LstmPolicy\?"),
        ("{}:Nothing", r"a subclass of rl3_sb3.SequencePolicy with .* which is .*Nothing"),
        ("{}:number", r"a subclass of rl3_sb3.SequencePolicy with .* which is 3"),
        ("{}:Nobody", r"`policy` must be MODULE:NAME .* has no attribute 'Nobody'"),
    ],
)
def test_what_is_no_policy_is_refused(module, name, message):
    with pytest.raises(InputError, match=message):
        RunConfig.of("bandit", policy=name.format(module))


def test_a_registered_policy_has_its_name_everywhere(module, tmp_path):
    own = attribute_of("policy", f"{module}:Own")
    policy.register_policy("Own", own)
    policy.register_policy("Own", own)
    model = TransformerPPO("Own", "CartPole-v1", n_steps=8, batch_size=8, seed=0)
    model.export(tmp_path / "own")
    loaded = load_policy(tmp_path / "own")
    for name, value in model.policy.state_dict().items():
        assert th.equal(value, loaded.state_dict()[name])
    with pytest.raises(ValueError, match="`name` must be a new name, got 'LstmPolicy'"):
        policy.register_policy("LstmPolicy", own)
