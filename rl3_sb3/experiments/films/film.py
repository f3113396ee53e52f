"""Record a meta-episode in a held-out task.

    single task -> ValueAugment (unless RL2) -> Camera -> MetaEpisode -> the run's policy

The camera is inside `MetaEpisode`, so that it sees the goal before the restart hides it in the same
step. A film of H steps with R restarts has 1 + H + R shots: the first state, the state after each
step, and the state after each restart.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium.spaces.utils import flatdim

import vamdp
from rl3_sb3.experiments.environments import meta_arguments, value_arguments
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.films.legend import seen_of
from rl3_sb3.experiments.films.panels import keep
from rl3_sb3.experiments.films.shot import Film, Shot
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig
from rl3_sb3.sequence_policy import SequencePolicy
from vamdp.domains.grids.places import places_of
from vamdp.domains.grids.view import Thought

FloatArray = npt.NDArray[np.float32]


class Camera(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes a shot after every reset and step.

    Args:
        env: An environment that renders arrays. Advantages and counts are read from its
            observations, if it has them.
        film: The film to which shots are added. A camera films one task, so a reset continues it.
        counts_visits: Whether the pictures show the camera's own counts of visits to each place,
            for agents without a learner.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], film: Film, *, counts_visits: bool = False
    ) -> None:
        super().__init__(env)
        self._film = film
        self._visits: Counter[bytes] | None = Counter() if counts_visits else None
        self._present = b""  # the agent's current place
        self._layout = env.get_wrapper_attr("layout") if env.has_wrapper_attr("layout") else None

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the environment, and take a shot."""
        observation, info = self.env.reset(**kwargs)
        last = self._film.shots[-1] if self._film.shots else None
        if last is None:
            self._shoot(observation, episode=1, step=0, total=0.0, starts=True)
        else:
            self._shoot(
                observation,
                episode=last.episode + 1,
                step=last.step,
                total=last.total,
                starts=True,
            )
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment, and take a shot."""
        if self._visits is not None:
            self._visits[self._present] += 1
        observation, reward, terminated, truncated, info = self.env.step(action)
        last = self._film.shots[-1]
        last.action = int(action)
        self._shoot(
            observation,
            episode=last.episode,
            step=last.step + 1,
            total=last.total + float(reward),
            reward=float(reward),
            ended="terminated" if terminated else "truncated" if truncated else "",
        )
        return observation, reward, terminated, truncated, info

    def _shoot(self, observation: Any, **facts: Any) -> None:
        self._present = _place(observation)
        picture = self._picture()
        advantages = None if facts.get("ended") else self._advantages(observation)
        self._film.shots.append(Shot(keep(picture), advantages=advantages, **facts))

    def _picture(self) -> Any:
        if self._visits is None:
            return self.env.render()
        visits = self._visits
        view = self.env.get_wrapper_attr("grid_view")
        with view.lent(lambda observation: Thought(visits=visits[_place(observation)])):
            return self.env.render()

    def _advantages(self, observation: Any) -> FloatArray | None:
        if self._layout is None or "advantage" not in self._layout:
            return None
        # If everything that the learner adds is zero, it has not learned anything yet.
        added = [observation[part] for name, part in self._layout.items() if name != "state"]
        if not np.concatenate(added).any():
            return None
        scale = self.env.get_wrapper_attr("value_scale")
        advantages: FloatArray = observation[self._layout["advantage"]] * scale
        return advantages


def _place(observation: Any) -> bytes:
    """Return bytes that identify the place where this is observed."""
    return np.asarray(observation).tobytes()


def make_filmed_env(
    config: RunConfig,
    film: Film,
    *,
    variation: str,
    show_counts: bool = False,
) -> gymnasium.Env[Any, Any]:
    """Make a single environment equal to the run's batched ones, with a camera inside.

    Args:
        config: A run whose tasks are grids.
        film: The film to which shots are added.
        variation: The task distribution.
        show_counts: Whether pictures show visit counts: the learner's, or else the camera's.
    """
    env = config.facts.make_env(config.size, variation, "rgb_array")
    env.get_wrapper_attr("grid_view").show_counts = show_counts
    if config.estimator is not None:
        env = vamdp.ValueAugment(env, **value_arguments(config))
    n_entries = flatdim(env.observation_space)
    camera = Camera(env, film, counts_visits=show_counts and config.estimator is None)
    env = vamdp.MetaEpisode(camera, config.horizon, **meta_arguments(config))
    if config.algorithm.shows_history:
        return env
    box: Any = env.observation_space
    shown = gymnasium.spaces.Box(box.low[:n_entries], box.high[:n_entries], dtype=np.float32)
    return gymnasium.wrappers.TransformObservation(env, lambda all_: all_[:n_entries], shown)


def record(
    config: RunConfig,
    policy: SequencePolicy,
    *,
    title: str | None = None,
    task: int = 0,
    variation: str | None = None,
    show_counts: bool = False,
) -> Film:
    """Film a policy in one held-out task.

    Args:
        config: The run that trained the policy.
        policy: The policy. Its actions are sampled, as in an evaluation.
        title: Title of the film; None: the algorithm's.
        task: Number of the held-out task, from 0.
        variation: The task distribution; None: the one trained on.
        show_counts: See `make_filmed_env`.

    Returns:
        The film, the same in every call: actions are sampled from a fixed seed, and torch's
        generators are restored afterwards.
    """
    film = Film(title or config.title, config.horizon)
    variation = variation or config.variation
    env = make_filmed_env(config, film, variation=variation, show_counts=show_counts)
    agent = PolicyAgent(policy)
    with th.random.fork_rng():
        observation, _ = env.reset(seed=FIRST_HELD_OUT_SEED + task)
        places = places_of(env.get_wrapper_attr("get_task")())
        assert places is not None, "its picture was just taken"
        seen = seen_of(
            places.grid,
            values=config.estimator is not None,
            visits=show_counts,
            clusters=config.estimator_options.get("cluster_size", 1) > 1,
        )
        film.seen.extend(seen)
        agent.start(1, FIRST_HELD_OUT_SEED + task)
        over = False
        while not over:
            (action,) = agent.act(observation[None])
            observation, _, over, _, _ = env.step(int(action))
    env.close()
    return film
