from pathlib import Path

import numpy as np
import pytest
import torch as th
from torch import nn

from rl3_sb3 import CausalTransformer
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.pretrained.agents import published_agents
from rl3_sb3.experiments.studies.attention import (
    Ablated,
    Watched,
    attention_mass,
    distance_classes,
    episodes_of,
    gradient_shares,
)

PRETRAINED = Path(__file__).parents[3] / "pretrained"
# Three states, two actions.
LAYOUT = {
    "state": slice(0, 3),
    "value": slice(3, 4),
    "previous_action": slice(4, 6),
    "episode_time": slice(6, 7),
    "meta_time": slice(7, 8),
}


def meta_episodes(n=4, T=8, length=3):
    """Random meta-episodes with episodes of this length."""
    rng = th.Generator().manual_seed(0)
    x = th.randn(n, T, 8, generator=rng)
    states = th.randint(3, (n, T), generator=rng)
    x[..., :3] = th.eye(3)[states]
    x[..., 6] = th.arange(T) % length / length
    return x, states


@pytest.fixture
def network():
    th.manual_seed(0)
    return CausalTransformer(8, 2, 8, d_model=16, n_heads=2, d_ff=16, input_hidden=16)


def test_every_token_has_its_distance():
    x, _ = meta_episodes()
    classes = distance_classes(episodes_of(x, LAYOUT))
    assert episodes_of(x, LAYOUT)[0].tolist() == [1, 1, 1, 2, 2, 2, 3, 3]
    n_classes = th.stack([*classes.values()]).sum(0)
    assert (n_classes == th.ones(8, 8, dtype=th.int64).tril()).all()
    # Seen from token 7, the second of the third episode:
    named = {name: mask[0, 7].nonzero().flatten().tolist() for name, mask in classes.items()}
    assert named == {
        "self": [7],
        "previous step": [6],
        "rest of this episode": [],
        "last episode": [3, 4, 5],
        "older": [0, 1, 2],
    }
    assert classes["rest of this episode"][0, 5].nonzero().flatten().tolist() == [3]


def test_attention_that_treats_all_alike_is_uniform_and_lifts_nothing(network):
    x, _ = meta_episodes()
    for layer in network.layers:
        nn.init.zeros_(layer.qkv.weight[:32])  # queries and keys
        nn.init.zeros_(layer.qkv.bias[:32])
    mass = attention_mass(network, x, LAYOUT)
    for name, shares in mass.by_distance.items():
        wanted = np.broadcast_to(mass.uniform[name][:, None], shares.shape[1:])
        for layer in shares:
            np.testing.assert_allclose(layer, wanted, atol=1e-6)
    assert sum(mass.uniform.values()) == pytest.approx(1.0)
    for kind in ("same state", "step after it"):
        lift = mass.lift(kind, slice(4, 8))
        assert lift.shape == (2, 4, 2)
        np.testing.assert_allclose(lift[np.isfinite(lift)], 1.0, rtol=1e-5)


def test_mass_by_state_is_that_of_a_loop(network):
    x, states = meta_episodes()
    from rl3_sb3.networks.attention_weights import attend

    weights = attend(network, x).weights.detach().numpy()
    mass = attention_mass(network, x, LAYOUT)
    for b in range(4):
        for t in range(8):
            same = [j for j in range(t) if states[b, j] == states[b, t]]
            after = [j for j in range(1, t) if states[b, j - 1] == states[b, t]]
            for kind, tokens in (("same state", same), ("step after it", after)):
                wanted = weights[:, b, :, t, tokens].sum(axis=0)  # NumPy puts the list first
                np.testing.assert_allclose(mass.by_state[kind][:, b, :, t], wanted, atol=1e-6)
                assert mass.uniform_by_state[kind][b, t] == pytest.approx(len(tokens) / (t + 1))


def test_shares_of_the_gradient_are_those_of_finite_differences(network):
    x, _ = meta_episodes(n=1)
    shares = gradient_shares(network.double(), x.double(), LAYOUT, [5])
    assert sum(s for s in shares.values()) == pytest.approx(np.ones((1, 1)))
    deviation = x.double().flatten(0, 1).std(0)

    def margin(x):
        logits = network(x)[0, 5]
        return (logits.max() - logits.min()).item()

    squares = np.zeros((8, 8))
    for j, c in np.ndindex(squares.shape):
        step = th.zeros(1, 8, 8, dtype=th.float64)
        step[0, j, c] = 1e-5
        slope = (margin(x.double() + step) - margin(x.double() - step)) / 2e-5
        squares[j, c] = (slope * deviation[c]) ** 2
    squares /= squares.sum()
    for part, place in (("state", slice(0, 3)), ("value", slice(3, 4)), ("clocks", slice(6, 8))):
        assert shares[f"{part}, now"].item() == pytest.approx(squares[5, place].sum(), rel=1e-4)
        before = squares[:5, place].sum()
        assert shares[f"{part}, before"].item() == pytest.approx(before, rel=1e-4)
    assert "count, now" not in shares


@pytest.fixture(scope="module")
def agent():
    (found,) = published_agents(PRETRAINED, algos=["rl3"])[:1]
    return found


@pytest.fixture(scope="module")
def layout(agent):
    return make_envs(agent.config, 1).layout


def total(agent, player, n_tasks=6):
    with th.random.fork_rng():
        return play(agent.config, player, n_tasks=n_tasks, variation="canonical").returns


def test_a_watched_agent_keeps_all_meta_episodes(agent, layout):
    watched = Watched(agent.policy)
    total(agent, watched, 3)
    first = watched.sequences()
    assert first.shape == (3, agent.config.horizon, layout["meta_time"].stop)
    clock = np.arange(agent.config.horizon) / agent.config.horizon
    np.testing.assert_allclose(first[:, :, layout["meta_time"]][..., 0], [clock] * 3, atol=1e-6)
    total(agent, watched, 3)  # another batch, here of the same tasks
    assert th.equal(watched.sequences(), th.cat([first, first]))


def test_what_nothing_is_taken_from_plays_as_ever(agent, layout):
    intact = total(agent, Ablated(agent.policy, "intact", layout))
    np.testing.assert_array_equal(intact, total(agent, PolicyAgent(agent.policy)))


def test_without_its_values_an_agent_is_worse(agent, layout):
    intact = total(agent, Ablated(agent.policy, "", layout), 40)
    blind = total(agent, Ablated(agent.policy, "", layout, parts=["advantage", "value"]), 40)
    assert blind.mean() < intact.mean() - 5


def test_parts_are_the_task_befores_and_others_stay(agent, layout, monkeypatch):
    shown = []
    to_tokens = agent.policy.to_tokens
    monkeypatch.setattr(agent.policy, "to_tokens", lambda x: shown.append(x) or to_tokens(x))
    player = Ablated(agent.policy, "", layout, parts=["count"])
    player.start(3, 0)
    seen = np.random.default_rng(0).random((3, layout["meta_time"].stop), np.float32)
    player.act(seen)
    wanted = seen.copy()
    wanted[:, layout["count"]] = seen[[2, 0, 1]][:, layout["count"]]
    np.testing.assert_array_equal(shown[0], wanted)


def test_only_what_is_remembered_may_be_another_tasks(agent, layout):
    rng = np.random.default_rng(0)
    seen = [rng.random((3, layout["meta_time"].stop), np.float32) for _ in range(4)]
    swapped = [each.copy() for each in seen]
    for each in swapped[:3]:  # not the present step
        each[:, layout["advantage"]] = np.roll(each[:, layout["advantage"]], 1, axis=0)
    wanted = agent.policy.sequence_params(th.as_tensor(np.stack(swapped, axis=1)))[:, 3]
    player = Ablated(agent.policy, "", layout, parts=["advantage"], only_remembered=True)
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        drawn = agent.policy.distribution
        patch.setattr(agent.policy, "distribution", lambda p: asked.append(p) or drawn(p))
        player.start(3, 0)
        for each in seen:
            player.act(each)
    th.testing.assert_close(asked[3], wanted, atol=1e-4, rtol=1e-4)
    plain = agent.policy.sequence_params(th.as_tensor(np.stack(seen, axis=1)))[:, 3]
    assert (asked[3] - plain).abs().max() > 1e-3


@pytest.mark.parametrize(("sees", "hidden"), [("self", [1, 1, 1, 0]), ("episode", [1, 1, 0, 0])])
def test_tokens_of_other_steps_are_hidden(agent, layout, sees, hidden, monkeypatch):
    asked = []
    step = agent.policy.actor.step
    monkeypatch.setattr(
        agent.policy.actor, "step", lambda *args: asked.append(args[2]) or step(*args)
    )
    player = Ablated(agent.policy, "", layout, sees=sees)
    player.start(2, 0)
    for clock in (0.0, 0.5, 0.0, 0.5):  # two episodes
        seen = np.zeros((2, layout["meta_time"].stop), np.float32)
        seen[:, layout["episode_time"]] = clock
        player.act(seen)
    assert asked[3].int().tolist() == [hidden] * 2


def test_what_there_is_not_cannot_be_taken_away(agent, layout):
    with pytest.raises(ValueError, match="`sees` must be one of all, episode, self, got 'past'"):
        Ablated(agent.policy, "", layout, sees="past")
    with pytest.raises(ValueError, match=r"`parts` must be of state, .* got 'reward'"):
        Ablated(agent.policy, "", layout, parts=["reward"])
