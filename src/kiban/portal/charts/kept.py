"""Charts that were drawn before: a drawing costs tens of milliseconds, its figures seldom change."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import orjson

from kiban.portal.charts.chart import Chart
from kiban.portal.format import PlainFormats

MOST_KEPT = 512  # of some 20 KB each
P = ParamSpec("P")


class KeptCharts:
    """The last charts, by a digest of what they were drawn from. One of many that want the same draws it."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most = most
        self._kept: OrderedDict[bytes, Chart] = OrderedDict()
        self._lock = threading.Lock()
        self._drawing = [threading.Lock() for _ in range(32)]

    def find(self, key: bytes, draw: Callable[[], Chart]) -> Chart:
        if kept := self._look(key):
            return kept
        with self._drawing[key[0] % len(self._drawing)]:
            if kept := self._look(key):
                return kept
            drawn = draw()
            with self._lock:
                self._kept[key] = drawn
                if len(self._kept) > self.most:
                    self._kept.popitem(last=False)
            return drawn

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def _look(self, key: bytes) -> Chart | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)


KEPT = KeptCharts()


def kept(draw: Callable[P, Chart]) -> Callable[P, Chart]:
    """Draw once for the same arguments, which are plain data."""

    @wraps(draw)
    def find(*args: P.args, **kwargs: P.kwargs) -> Chart:
        data = orjson.dumps((draw.__module__, draw.__name__, args, kwargs), default=_plain)
        return KEPT.find(hashlib.blake2b(data, digest_size=16).digest(), lambda: draw(*args, **kwargs))

    return find


def _plain(value: object) -> object:
    """What tells this argument from others, where JSON cannot hold it."""
    if isinstance(value, PlainFormats):
        return value.language, value.era
    raise TypeError(f"{type(value).__name__} is no plain data")
