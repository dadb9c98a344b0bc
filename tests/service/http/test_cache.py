"""The LRU cache bounded by bytes."""

import threading

import pytest

from service.http.cache import BoundedCache


def test_the_least_recently_used_value_is_evicted() -> None:
    cache = BoundedCache[str](3)
    for name in "abc":
        cache.put(name, name, 1)
    assert cache.get("a") == "a"
    cache.put("d", "d", 1)
    assert [cache.get(name) for name in "abcd"] == ["a", None, "c", "d"]
    assert cache.size == 3


def test_a_replaced_value_counts_once() -> None:
    cache = BoundedCache[str](3)
    cache.put("a", "old", 2)
    cache.put("a", "new", 3)
    assert (cache.get("a"), cache.size) == ("new", 3)


@pytest.mark.parametrize("capacity", [0, 3])
def test_a_value_larger_than_the_cache_is_not_stored(capacity: int) -> None:
    cache = BoundedCache[str](capacity)
    cache.put("a", "a", 4)
    assert (cache.get("a"), cache.size) == (None, 0)


def test_the_size_is_right_after_concurrent_use() -> None:
    cache = BoundedCache[int](50)

    def work() -> None:
        for number in range(2000):
            cache.put(number % 70, number, 1)
            cache.get(number % 30)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.size == 50
