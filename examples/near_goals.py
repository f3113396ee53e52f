"""Gridworlds whose goals may be near: easier tasks for a first phase of training.

An agent that has learned here to look for goals goes on in the usual gridworlds. Together, the two
phases below have the schedules of one run of 400 iterations:

    cd examples
    rl3 train near_goals:near --iterations 100 --out runs/near \
        --set learning_rate=6e-4:4.75e-4 --set gae_lambda=0.3:0.6 --set ent_coef=0.3:0.225
    rl3 train gridworld --size 11 --iterations 300 --start-from runs/near \
        --set learning_rate=4.75e-4:1e-4 --set gae_lambda=0.6:0.9@0.3333 --set ent_coef=0.225:0

Run alone, it shows a grid of each kind.
"""

from dataclasses import replace

import numpy as np

from rl3_sb3 import Domain
from rl3_sb3.experiments.domains import DOMAINS
from vamdp.domains import GridWorlds

LEAST_DISTANCE = 2

near: Domain = replace(
    DOMAINS["gridworld"],
    title="Gridworlds with nearer goals",
    arguments={"goal_distance": LEAST_DISTANCE},
    prior={**DOMAINS["gridworld"].prior, "estimator.goal_distance": LEAST_DISTANCE},
    variations={},
)

if __name__ == "__main__":
    for title, tasks in (
        ("usual", GridWorlds()),
        (near.title, GridWorlds(goal_distance=LEAST_DISTANCE)),
    ):
        print(title, *tasks(np.random.default_rng(0)).grid, sep="\n")
