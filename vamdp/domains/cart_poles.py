"""Gymnasium's CartPole with new physics for each task.

Equations and episodes are CartPole-v1's. Rewards are those of `sutton_barto_reward`: 0 per step,
and -1 when the pole falls or the cart leaves the track. With Gymnasium's default of +1 per step,
every meta-episode with restarts would have the same total, whatever the agent does.

A controller that balances the default pole balances nearly all of these, so varying lengths and
masses alone leaves little to learn. The direction of the actions is therefore random as well: an
agent that does not learn it drops the pole at once, in every episode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium.envs.classic_control import CartPoleEnv

from vamdp.argument_checks import check_share
from vamdp.domains.entry_points import sampled_entry_points
from vamdp.domains.ranges import Range, check_positive_range, draw


@dataclass(frozen=True)
class CartPoles:
    """The distribution of cart-poles; each quantity is uniform in its range.

    Args:
        length: Half the pole's length, in metres; Gymnasium's is 0.5.
        masspole: Mass of the pole, in kilograms; Gymnasium's is 0.1.
        masscart: Mass of the cart, in kilograms; Gymnasium's is 1.
        force_mag: Force of a push, in newtons; Gymnasium's is 10.
        gravity: Gravity, in m/s²; Gymnasium's is 9.8.
        swapped: Probability that action 0 pushes to the right and action 1 to the left.
        render_mode: CartPole's `render_mode` of the drawn environments.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> env = CartPoles(length=(0.5, 1.0))(np.random.default_rng(0))
        >>> 0.5 <= env.length <= 1.0
        True
    """

    length: Range = (0.25, 1.5)
    masspole: Range = (0.05, 0.5)
    masscart: Range = (0.5, 2.0)
    force_mag: Range = (5.0, 15.0)
    gravity: Range = (5.0, 15.0)
    swapped: float = 0.5
    render_mode: str | None = None

    def __post_init__(self) -> None:
        for name in ("length", "masspole", "masscart", "force_mag", "gravity"):
            check_positive_range(name, getattr(self, name))
        check_share("swapped", self.swapped)

    def __call__(self, rng: np.random.Generator) -> CartPoleEnv:
        """Draw a task."""
        env = CartPoleEnv(sutton_barto_reward=True, render_mode=self.render_mode)
        env.length = draw(rng, self.length)
        env.masspole = draw(rng, self.masspole)
        env.masscart = draw(rng, self.masscart)
        env.force_mag = draw(rng, self.force_mag)
        env.gravity = draw(rng, self.gravity)
        if rng.random() < self.swapped:
            env.force_mag = -env.force_mag
        # Gymnasium computes these from the masses and the length in its constructor.
        env.total_mass = env.masspole + env.masscart
        env.polemass_length = env.masspole * env.length
        return env


env, vector_env = sampled_entry_points(CartPoles, metadata=CartPoleEnv.metadata)
