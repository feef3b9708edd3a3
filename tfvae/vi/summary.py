"""Tables of draws."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

QUANTILES = (0.05, 0.5, 0.95)


class Row(NamedTuple):
    """One number of the posterior: mean, standard deviation, quantiles, Monte Carlo error."""

    mean: float
    sd: float
    q5: float
    median: float
    q95: float
    mc_error: float


class Summary(dict):
    """Rows by label, such as "theta[3]"; it prints as a table.

    Example:
    >>> fit.summary()["mu"].sd  # doctest: +SKIP
    3.3
    """

    def __init__(self, rows: Mapping[str, Row], head: str, notes: list[str]):
        super().__init__(rows)
        self._head, self._notes = head, notes

    def __str__(self) -> str:
        titles = ("mean", "sd", "5 %", "50 %", "95 %", "MC error")
        width = max([len("latent"), *map(len, self)])
        lines = [self._head, "latent".ljust(width) + "".join(t.rjust(11) for t in titles)]
        for label, row in self.items():
            lines.append(label.ljust(width) + "".join(f"{v:11.4g}" for v in row))
        return "\n".join(lines + [f"! {note}" for note in self._notes])

    __repr__ = __str__


def summarise(draws: Mapping[str, np.ndarray], head: str, notes: list[str]) -> Summary:
    """Returns the table of independent draws by name, [S, ...] each."""
    rows = {}
    for name, values in draws.items():
        values = np.asarray(values, "float64")
        for index in np.ndindex(values.shape[1:]):
            one = values[(slice(None), *index)]
            label = f"{name}[{', '.join(map(str, index))}]" if index else name
            sd = float(one.std())
            rows[label] = Row(
                float(one.mean()), sd, *np.quantile(one, QUANTILES), sd / np.sqrt(one.size)
            )
    return Summary(rows, head, notes)
