"""The tasks of `memory.py`, none of which can be solved without a memory.

The recall tasks are small ones of the kind of POPGym's (Morad et al. 2023).
"""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces


class Part(gym.ObservationWrapper[npt.NDArray[Any], Any, npt.NDArray[Any]]):
    """Shows some entries of an observation and hides the others.

    Args:
        env: Its observations are vectors.
        shown: Indices.
    """

    def __init__(self, env: gym.Env[npt.NDArray[Any], Any], shown: list[int]) -> None:
        super().__init__(env)
        self._shown = shown
        box = env.observation_space
        assert isinstance(box, spaces.Box), "these have vectors"
        self.observation_space = spaces.Box(box.low[shown], box.high[shown], dtype=np.float32)

    def observation(self, observation: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the shown entries."""
        return observation[self._shown]


class Recall(gym.Env[npt.NDArray[Any], Any], ABC):
    """Shows a symbol a step; each right answer gives 1 / LENGTH, a wrong one nothing.

    Attributes:
        LENGTH: Steps of an episode.
        N_SYMBOLS: How many there are.
    """

    LENGTH = 32
    N_SYMBOLS = 4

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 1, (2 * self.N_SYMBOLS,), np.float32)
        self.action_space = spaces.Discrete(self.N_SYMBOLS)

    def reset(
        self, *, seed: int | None = None, options: Any = None
    ) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """Draw an episode and show its first step."""
        super().reset(seed=seed)
        self.shown, self.asked = self.np_random.integers(self.N_SYMBOLS, size=(2, self.LENGTH))
        self.t = 0
        return self.observe(), {}

    def step(self, action: Any) -> tuple[npt.NDArray[Any], float, bool, bool, dict[str, Any]]:
        """Judge the answer to what was shown, and show the next step."""
        reward = float(action == self.answer()) / self.LENGTH
        over = self.t == self.LENGTH - 1
        self.t += not over  # something must be shown at the end
        return self.observe(), reward, over, False, {}

    def observe(self) -> npt.NDArray[Any]:
        """Return which symbol is shown, one of N numbers being 1, and the same of another."""
        both = np.zeros((2, self.N_SYMBOLS), dtype=np.float32)
        both[[0, 1], [self.shown[self.t], self.other()]] = 1
        return both.ravel()

    def other(self) -> int:
        """Return the second symbol shown."""
        return 0

    @abstractmethod
    def answer(self) -> int:
        """Return the right answer of now."""


class RepeatPrevious(Recall):
    """The answer is the symbol of three steps ago, at first the first one."""

    def answer(self) -> int:
        """Return it."""
        return int(self.shown[max(0, self.t - 3)])


class RepeatFirst(Recall):
    """The answer is the first symbol; the second one tells the first step from the others."""

    def other(self) -> int:
        """Return the mark of the first step."""
        return int(self.t == 0)

    def answer(self) -> int:
        """Return it."""
        return int(self.shown[0])


class CountRecall(Recall):
    """The answer is how often the second symbol was the first one so far, this step included."""

    LENGTH = 16
    N_SYMBOLS = 2

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(self.LENGTH + 1)

    def other(self) -> int:
        """Return the symbol asked for."""
        return int(self.asked[self.t])

    def answer(self) -> int:
        """Return it."""
        return int((self.shown[: self.t + 1] == self.other()).sum())


@dataclasses.dataclass(frozen=True)
class Task:
    """An environment, and its discount."""

    make: Any
    gamma: float
    best: float
    """The return of an agent that never errs, or a good one's."""


def registered(kind: type[Recall]) -> Any:
    """Return how to make one of them, with a spec that says how long its episodes are."""
    name = f"memory/{kind.__name__}-v0"
    gym.register(name, kind, max_episode_steps=kind.LENGTH)
    return lambda: gym.make(name)


TASKS = {
    "cartpole": Task(lambda: Part(gym.make("CartPole-v1"), [0, 2]), 0.98, 500),
    "pendulum": Task(lambda: Part(gym.make("Pendulum-v1"), [0, 1]), 0.9, -150),
    "repeat-previous": Task(registered(RepeatPrevious), 0.9, 1),
    "repeat-first": Task(registered(RepeatFirst), 0.9, 1),
    "count-recall": Task(registered(CountRecall), 0.9, 1),
}
