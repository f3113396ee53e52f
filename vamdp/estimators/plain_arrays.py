"""Recognise arrays that compiled code can take as they are."""

from typing import Any

import numpy as np
import numpy.typing as npt

FLOAT, INT, BOOL = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)
FLOAT32 = np.dtype(np.float32)


def is_plain(array: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Whether this is a contiguous, writable array of this dtype and shape."""
    return (
        type(array) is np.ndarray
        and array.dtype == dtype
        and array.shape == shape
        and array.flags.carray
    )


def as_array(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the values as an array; a ValueError names the argument if rows differ in length."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"`{name}` must be an array of numbers, got {values!r}.") from error
