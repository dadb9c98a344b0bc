"""Generate test cases from choices: drawn by hypothesis, which shrinks them, or pseudo-random, which is faster."""

from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Choose = Callable[[int], int]
"""Returns a number from 0 up to a limit, which is excluded."""


@cache
def _integers_below(limit: int) -> st.SearchStrategy[int]:
    return st.integers(0, limit - 1)


def drawn_cases(generate: Callable[[Choose], T]) -> st.SearchStrategy[T]:
    """Return a strategy for the cases of a generator."""
    return st.composite(lambda draw: generate(lambda limit: draw(_integers_below(limit))))()


def random_cases(generate: Callable[[Choose], T], number: int, seed: int) -> Iterator[T]:
    """Iterate over `number` cases of a generator; equal seeds give equal cases."""
    choose = Random(seed).randrange  # noqa: S311 - nothing secret
    return (generate(choose) for _ in range(number))
