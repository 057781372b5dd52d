# SPDX-License-Identifier: Apache-2.0
"""A figure that is measured: what it is called, which way is better, and the goal it has."""
import statistics
from dataclasses import dataclass, field

TERN, PEERS = "tern", "peers"


@dataclass(frozen=True)
class Times:
    """Tern is to be at least so many times better than its peers in the same run."""
    factor: float

    def __str__(self):
        return "no worse" if self.factor == 1 else "%g times better" % self.factor

    def is_met(self, metric):
        return None if metric.ratio() is None else metric.ratio() >= self.factor


@dataclass(frozen=True)
class Below:
    """Tern's own figure is to be below a bound."""
    bound: float

    def __str__(self):
        return "below %g" % self.bound

    def is_met(self, metric):
        value = metric.value(TERN)
        return None if value is None else value < self.bound


@dataclass(frozen=True)
class AtLeast:
    """Tern's own figure is to reach a bound."""
    bound: float

    def __str__(self):
        return "at least %g" % self.bound

    def is_met(self, metric):
        value = metric.value(TERN)
        return None if value is None else value >= self.bound


@dataclass
class Metric:
    key: str
    title: str
    unit: str
    more_is_better: bool = False
    goal: object = None
    is_worst: bool = False  # of the rounds the worst counts, not the median
    values: dict = field(default_factory=dict)  # side -> [one value a round]

    def add(self, side, value):
        self.values.setdefault(side, []).append(value)

    def value(self, side):
        """The figure that counts; None if the side was not measured."""
        values = self.values.get(side)
        if not values:
            return None
        if self.is_worst:
            return (min if self.more_is_better else max)(values)
        return statistics.median(values)

    def ratio(self):
        """How many times better Tern is; None unless both sides were measured."""
        tern, peers = self.value(TERN), self.value(PEERS)
        if not tern or not peers:
            return None
        return tern / peers if self.more_is_better else peers / tern

    def is_met(self):
        return self.goal.is_met(self) if self.goal else None
