"""Who lies near whom: distances to a bounded pool of rows, so that a large dataset stays affordable."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MOST_IN_POOL = 4096
CHUNK = 512
"""Rows whose distances to the pool are held at once."""


class Pool:
    """Rows to be compared with: all of them, or as many as the pool holds, drawn evenly."""

    def __init__(self, values: np.ndarray, seed: int) -> None:
        """Draw the pool of float32[n, columns]."""
        self._values = values
        drawn = np.random.default_rng(seed).permutation(len(values))[:MOST_IN_POOL]
        self.rows = np.sort(drawn)
        """Which rows of the dataset are in it."""
        self._pool = values[self.rows]
        self._place = np.full(len(values), -1)
        self._place[self.rows] = np.arange(len(self.rows))

    def squared(
        self, which: np.ndarray, without: np.ndarray | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield squared distances of some rows to the pool, float32[chunk, pool]; a row is infinitely far from itself.

        Args:
            which: Numbers of rows.
            without: int64[len(which), k]: columns that do not count, for each row its own.
        """
        for start in range(0, len(which), CHUNK):
            part = slice(start, start + CHUNK)
            rows = which[part]
            own = self._values[rows]
            apart = (own**2).sum(1)[:, None] + (self._pool**2).sum(1) - 2 * own @ self._pool.T
            if without is not None:
                for each, columns in enumerate(without[part]):
                    apart[each] -= ((own[each, columns] - self._pool[:, columns]) ** 2).sum(1)
            there = np.flatnonzero(self._place[rows] >= 0)
            apart[there, self._place[rows][there]] = np.inf
            yield part, np.maximum(apart, 0)

    def nearest(
        self,
        which: np.ndarray,
        count: int,
        without: np.ndarray | None = None,
        among: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest rows of the pool and their distances: int64 and float32 [len(which), count].

        Args:
            which: Numbers of rows.
            count: How many neighbours; fewer if the pool has fewer.
            without: See ``squared``.
            among: bool[n]: only these rows count as neighbours.
        """
        allowed = np.ones(len(self.rows), dtype=bool) if among is None else among[self.rows]
        count = max(1, min(count, int(allowed.sum()) - 1))
        rows = np.empty((len(which), count), dtype=np.int64)
        far = np.empty((len(which), count), dtype=np.float32)
        for part, apart in self.squared(which, without):
            apart[:, ~allowed] = np.inf
            found = np.argpartition(apart, count - 1, axis=1)[:, :count]
            rows[part] = self.rows[found]
            far[part] = np.sqrt(np.take_along_axis(apart, found, 1))
        return rows, far
