"""Where the time of a training iteration goes: clocks around the calls of a model's parts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from arithmetic import synchronize


class Clock:
    """Adds up the time spent in a method of an object, while it is `running`.

    Args:
        owner: The object; None counts nothing.
        name: Of its method.
        device: Waited for before and after a call.
        now: Gives the time in seconds.
    """

    def __init__(
        self,
        owner: Any,
        name: str,
        device: str = "cpu",
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.owner, self.name, self.device, self.now = owner, name, device, now
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the calls within the block."""
        self.seconds = 0.0
        if self.owner is None:
            yield
            return
        method = getattr(self.owner, self.name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            result, seconds = duration(lambda: method(*args, **kwargs), self.device, self.now)
            self.seconds += seconds
            return result

        setattr(self.owner, self.name, timed)
        try:
            yield
        finally:
            delattr(self.owner, self.name)  # the class's own shows again


def duration(
    call: Callable[[], Any], device: str = "cpu", now: Callable[[], float] = time.perf_counter
) -> tuple[Any, float]:
    """Return what a call returns and the seconds that it takes."""
    synchronize(device)
    start = now()
    result = call()
    synchronize(device)
    return result, now() - start


def planner(env: Any) -> Any:
    """Return the object whose `write` plans in these environments; None for RL2."""
    try:
        return env.get_attr("estimator")[0]
    except AttributeError:
        return None
