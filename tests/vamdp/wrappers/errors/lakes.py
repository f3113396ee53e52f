"""Environments whose wrappers are given bad input, single and batched."""

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp


def lake():
    return gymnasium.make("FrozenLake-v1")


def lakes(mode=AutoresetMode.SAME_STEP):
    return SyncVectorEnv([lake] * 2, autoreset_mode=mode)


KINDS = [(vamdp, lake), (vamdp.vector, lakes)]
