"""Dataclasses with every kind of value that Earth2Studio stores, and metadata of every kind."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

import numpy as np
import torch


def made(make):
    return field(default_factory=make)


@dataclass
class Inner:
    weights: torch.Tensor = made(lambda: torch.arange(6.0).reshape(2, 3))
    name: str = "inner"


@dataclass
class Every:
    none: object = None
    flag: bool = True
    count: int = 7
    rate: float = 0.25
    text: str = "two\nlines"
    when: datetime = datetime(2024, 1, 1, 6)
    aware: datetime = datetime(2024, 1, 1, 6, 0, 0, 5, tzinfo=timezone.utc)
    day: date = date(2024, 2, 29)
    delta: timedelta = timedelta(days=1, seconds=3, microseconds=5)
    np_when: np.datetime64 = np.datetime64("2024-01-01T06", "h")
    np_delta: np.timedelta64 = np.timedelta64(6, "h")
    device: torch.device = torch.device("cuda:1")
    torch_kind: torch.dtype = torch.float16
    np_kind: np.dtype = np.dtype("float32")
    tensor: torch.Tensor = made(lambda: torch.arange(12.0).reshape(3, 4))
    array: np.ndarray = made(lambda: np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3)))
    scalar: np.ndarray = made(lambda: np.array(3.5))
    empty: np.ndarray = made(lambda: np.zeros((0, 3)))
    words: np.ndarray = made(lambda: np.array(["a", "bcd"]))
    times: np.ndarray = made(lambda: np.array(["2024-01-01", "NaT"], dtype="datetime64[ns]"))
    waves: np.ndarray = made(lambda: np.array([1 + 2j]))
    records: np.ndarray = made(lambda: np.array([(1, 2.5)], dtype=[("a", "<i4"), ("b", "<f8")]))
    numbers: list = made(lambda: [1, 2.5, "x", None])
    mixed: list = made(lambda: [np.arange(3), {"k/ey": (1, torch.ones(2))}, [1, [2]]])
    pair: tuple = (1, 2)
    table: dict = made(lambda: {"a": 1, "b/c": {"deep": np.arange(2)}, "": "empty"})
    inner: Inner = made(Inner)
    state_id: str = "mine"


@dataclass
class Noise:
    seed: int = 42
    noise: torch.Tensor = made(lambda: torch.zeros(1000))


METADATA = {
    "lead_time": np.timedelta64(6, "h"), "when": datetime(2024, 1, 1, 6), "day": date(2024, 2, 29),
    "delta": timedelta(1, 3, 5), "np_when": np.datetime64("2024-01-01T06:00:00", "ns"), "device": torch.device("cpu"),
    "torch_kind": torch.float32, "np_kind": np.dtype("float32"), "n": 3, "rate": 0.5, "small": 1e-7, "flag": True,
    "nothing": None, "text": "h\u00e9llo\ttab", "items": [1, 2, 3], "dates": [date(2024, 1, 1), np.timedelta64(1, "D")],
    "pair": (1, "two"), "table": {"b": 1, "a": {"x": datetime(2024, 1, 1)}}, "array": np.arange(6).reshape(2, 3),
    "floats": np.array([0.5, 100.25, -3.0]), "days": np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
    "tensor": torch.tensor([0.5, 1.5]), "one": np.array([5]), "words": np.array(["a", "bb"]), "inner": Inner(),
    "narrow": np.float32(0.1), "nan": float("nan"), "steps": np.array([0, 6], dtype="timedelta64[h]"),
    "long": np.arange(40), "many": np.arange(1200), "mask": np.array([True, False]),
}
