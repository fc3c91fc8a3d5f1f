"""Names of variables: read from pandas objects, mappings or lists, and put back on answers.

pandas is never imported here: an object of it can only come in when the caller has imported it.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import InvalidArgument
from ketgate._tensor import float_array


def _pandas() -> Any:
    return sys.modules.get("pandas")


def is_frame(value: object) -> bool:
    pandas = _pandas()
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_series(value: object) -> bool:
    pandas = _pandas()
    return pandas is not None and isinstance(value, pandas.Series)


class Labels:
    """Names of n variables in the order of the request, or none.

    keys: the caller's own labels (any hashable), for looking up; None when there are none.
    in_pandas: whether answers are to be pandas objects.
    """

    def __init__(self, keys: Sequence[Any] | None, *, in_pandas: bool = False) -> None:
        self.in_pandas = in_pandas
        # Labels that only count from 0, as pandas makes for an array, say nothing: they stay off the wire.
        plain = keys is None or list(keys) == list(range(len(keys)))
        self.keys: tuple[Any, ...] | None = None if keys is None else tuple(keys)
        self.named = not plain
        self._position = {key: i for i, key in enumerate(self.keys or ())}
        if self.keys is not None and len(self._position) != len(self.keys):
            twice = next(key for key in self.keys if self.keys.count(key) > 1)
            raise InvalidArgument(
                f"names: expected distinct names, given {twice!r} twice", field="names"
            )

    @staticmethod
    def find(names: Sequence[Any] | None, *sources: Any) -> "Labels":
        """The labels of the first source that has any: names, then each frame's columns or series'
        index.
        """
        in_pandas = any(is_frame(source) or is_series(source) for source in sources)
        if names is not None:
            if isinstance(names, str):
                raise InvalidArgument(
                    "names: expected a list of names, given one text", field="names"
                )
            return Labels(list(names), in_pandas=in_pandas or _pandas_importable())
        for source in sources:
            if is_frame(source):
                return Labels(list(source.columns), in_pandas=True)
            if is_series(source):
                return Labels(list(source.index), in_pandas=True)
        return Labels(None)

    def texts(self) -> list[str]:
        """The names as the contract takes them; none when they say nothing."""
        return [str(key) for key in self.keys] if self.named and self.keys is not None else []

    def position(self, key: Any, field: str, size: int) -> int:
        """Position of a name, or of a position from 0."""
        if key in self._position:
            return self._position[key]
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool) and 0 <= key < size:
            return int(key)
        known = f"one of {size} names" if self.named else f"a position from 0 to {size - 1}"
        raise InvalidArgument(f"{field}: expected {known}, given {key!r}", field=field)

    def vector(
        self, values: Any, field: str, size: int, *, default: float | None = None
    ) -> NDArray[np.float64]:
        """values as n numbers in the request's order.

        A scalar stays one number, shape (1,). A Series or mapping goes by name; names left out take
        the default, and are refused without one.
        """
        if is_series(values) and not self._positional(values.index):
            values = dict(zip(values.index, values.to_numpy(), strict=True))
        if isinstance(values, Mapping):
            return self._from_mapping(values, field, size, default)
        array = float_array(values, field)
        if array.ndim == 0:
            return array.reshape(1)
        if array.shape != (size,):
            raise InvalidArgument(
                f"{field}: expected one number or {size} of them, given shape {array.shape}",
                field=field,
            )
        return array

    def square(self, matrix: Any, field: str) -> NDArray[np.float64]:
        """A covariance in the request's order; a DataFrame goes by its names on both sides."""
        if is_frame(matrix):
            if not self._positional(matrix.columns):
                missing = [
                    key
                    for key in self.keys or ()
                    if key not in matrix.columns or key not in matrix.index
                ]
                if missing:
                    raise InvalidArgument(
                        f"{field}: expected a row and a column of each name, given none of {missing[0]!r}",
                        field=field,
                    )
                matrix = matrix.loc[list(self.keys or ()), list(self.keys or ())]
            matrix = matrix.to_numpy()
        return float_array(matrix, field, ndim=2)

    def _positional(self, index: Any) -> bool:
        """Whether an index says nothing about names: there are none, or it only counts from 0."""
        keys = list(index)
        if self.keys is not None and set(keys) == set(self.keys):
            return False
        return self.keys is None or keys == list(range(len(keys)))

    def _from_mapping(
        self, values: Mapping[Any, Any], field: str, size: int, default: float | None
    ) -> NDArray[np.float64]:
        if default is None and len(values) < size:
            missing = next((k for k in self.keys or range(size) if k not in values), None)
            raise InvalidArgument(
                f"{field}: expected a number for each name, given none for {missing!r}", field=field
            )
        array = np.full(size, 0.0 if default is None else default)
        for key, value in values.items():
            array[self.position(key, field, size)] = float_array(value, f"{field}[{key!r}]", ndim=0)
        return array

    def dress(self, values: NDArray[Any], name: str | None = None) -> Any:
        """An answer of shape (n,) as the caller likes it: a Series where pandas came in, else the
        array.
        """
        if not self.in_pandas or self.keys is None:
            return values
        import pandas

        return pandas.Series(values, index=list(self.keys), name=name)

    def by_name(self, values: NDArray[Any]) -> dict[Any, float]:
        """An answer as a mapping; by position where there are no names."""
        keys = self.keys if self.keys is not None else range(len(values))
        return {key: value.item() for key, value in zip(keys, values, strict=True)}


def _pandas_importable() -> bool:
    from importlib.util import find_spec

    return _pandas() is not None or find_spec("pandas") is not None
