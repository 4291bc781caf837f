"""Plans when the millstones of the Alder Brook Mill are dressed.

A pair of stones is dressed after eighty tonnes of grain, or after a year, whatever comes first. Dressing takes two
days for each stone, and never falls into the week of the harvest festival.
"""

from dataclasses import dataclass
from datetime import date, timedelta

TONNES_BETWEEN_DRESSINGS = 80.0
LONGEST_INTERVAL = timedelta(days=365)
HARVEST_FESTIVAL = (9, 21)  # month and day on which the festival week begins


@dataclass(frozen=True)
class Stones:
    """A pair of millstones."""

    name: str
    dressed: date
    tonnes_since: float
    tonnes_per_week: float


def in_festival_week(day: date) -> bool:
    """Tells whether a day falls into the week in which nobody has time for stones."""
    begin = date(day.year, *HARVEST_FESTIVAL)
    return begin <= day < begin + timedelta(days=7)


def next_dressing(stones: Stones, today: date) -> date:
    """Returns the day on which a pair of stones should be lifted.

    Postpones by a week where the festival is in the way: blunt stones warm the flour, but a mill without a miller
    burns the pancakes.
    """
    left = max(TONNES_BETWEEN_DRESSINGS - stones.tonnes_since, 0.0)
    weeks = left / stones.tonnes_per_week if stones.tonnes_per_week else float("inf")
    by_age = stones.dressed + LONGEST_INTERVAL
    by_work = today + timedelta(weeks=weeks) if weeks != float("inf") else by_age
    day = max(min(by_age, by_work), today)
    while in_festival_week(day):
        day += timedelta(days=7)
    return day


if __name__ == "__main__":
    for pair in (
        Stones("French burr", date(2024, 11, 4), 52.5, 1.4),
        Stones("Derbyshire grit", date(2025, 3, 17), 11.0, 0.6),
    ):
        print(f"{pair.name}: lift the runner on {next_dressing(pair, date(2025, 6, 2)):%d %B %Y}")
