"""Gymnasium's Acrobot with new physics for each task.

Equations, rewards and termination are Acrobot-v1's: -1 per step, and 0 in the step that swings the
end of the lower link over the bar, which ends the episode. A meta-episode's total is therefore the
number of swing-ups minus H.

Pumping against the motion of the first joint swings up most of these acrobots, so varying lengths
and masses alone leaves little to learn. The direction of the actions is therefore random as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium.envs.classic_control import AcrobotEnv

from vamdp.argument_checks import check_share
from vamdp.domains.entry_points import sampled_entry_points
from vamdp.domains.ranges import Range, check_positive_range, draw


@dataclass(frozen=True)
class Acrobots:
    """The distribution of acrobots; each quantity is uniform in its range, drawn for each link.

    Args:
        length: Length of a link, in metres; Gymnasium's is 1. The bar is 1 above the upper joint
            for all lengths, and the height of the end is computed for links of length 1, as in
            Gymnasium.
        mass: Mass of a link, in kilograms; Gymnasium's is 1.
        com: Position of a link's centre of mass, as a fraction of its length; Gymnasium's is 0.5.
        torque: Torque of the motor, in newton metres; Gymnasium's is 1, with which random actions
            almost never reach the bar, so that there is no reward to learn from.
        swapped: Probability that actions 0 and 2 are swapped.
        render_mode: Acrobot's `render_mode` of the drawn environments.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> env = Acrobots(torque=(2.0, 2.0), swapped=0.0)(np.random.default_rng(0))
        >>> env.AVAIL_TORQUE
        [-2.0, 0.0, 2.0]
    """

    length: Range = (0.5, 1.25)
    mass: Range = (0.5, 1.5)
    com: Range = (0.3, 0.7)
    torque: Range = (1.0, 3.0)
    swapped: float = 0.5
    render_mode: str | None = None

    def __post_init__(self) -> None:
        for name in ("length", "mass", "com", "torque"):
            check_positive_range(name, getattr(self, name))
        if self.com[1] > 1:
            raise ValueError(f"`com` must be fractions of at most 1, got {self.com!r}.")
        check_share("swapped", self.swapped)

    def __call__(self, rng: np.random.Generator) -> AcrobotEnv:
        """Draw a task."""
        env = AcrobotEnv(render_mode=self.render_mode)
        # These are class attributes of AcrobotEnv; instance attributes override them.
        env.LINK_LENGTH_1, env.LINK_LENGTH_2 = (draw(rng, self.length) for _ in range(2))
        env.LINK_MASS_1, env.LINK_MASS_2 = (draw(rng, self.mass) for _ in range(2))
        env.LINK_COM_POS_1 = env.LINK_LENGTH_1 * draw(rng, self.com)
        env.LINK_COM_POS_2 = env.LINK_LENGTH_2 * draw(rng, self.com)
        torque = draw(rng, self.torque)
        if rng.random() < self.swapped:
            torque = -torque
        env.AVAIL_TORQUE = [-torque, 0.0, torque]
        return env


env, vector_env = sampled_entry_points(Acrobots, metadata=AcrobotEnv.metadata)
