"""Checkpoints of every shape the real torch.save writes, by name: what to save, and how it can be loaded again."""

import collections
import io
from typing import Any, Callable, NamedTuple

import numpy as np
import torch

torch.manual_seed(0)


class Kind(NamedTuple):
    make: Callable[[], Any]
    weights_only: bool = True  # torch.load(weights_only=True) can read it
    crc: bool = True  # with torch's checksums, which set_crc32_options(False) leaves out
    by_path: bool = True  # saved under a path; else to a file object, whose members stand below `archive/`
    protocol: int = 2


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(7, 11)
        self.decoder = torch.nn.Linear(11, 7)


def state_dict():
    return Net().state_dict()


def lightning():
    """What pytorch_lightning's Trainer.save_checkpoint hands to torch.save, with an optimizer that made a step."""
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    net.decoder(net.encoder(torch.ones(2, 7))).sum().backward()
    optimizer.step()
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.6.6",
        "state_dict": net.state_dict(),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.001, "layers": [7, 11, 7], "name": "modèle"},
    }


def tied():
    weight = torch.randn(50, 8)
    return collections.OrderedDict(
        [("embed.weight", weight), ("head.weight", weight), ("head.row", weight[3]), ("transposed", weight.t())]
    )


def many():
    """More storages than ten, of every size around the alignment, and an empty one."""
    return {
        f"p{i}": torch.randn(size) for i, size in enumerate([0, 1, 15, 16, 17, 31, 33, 64, 127, 1000, 3, 5, 250_000])
    }


def dtypes():
    return {
        str(dtype): torch.arange(9).to(dtype)
        for dtype in (
            torch.float64,
            torch.bfloat16,
            torch.float16,
            torch.int8,
            torch.uint8,
            torch.bool,
            torch.complex64,
            torch.float8_e4m3fn,
            torch.uint16,
        )
    }


KINDS = {
    "plain": Kind(state_dict),
    "archive": Kind(state_dict, by_path=False),
    "lightning": Kind(lightning, by_path=False),
    "module": Kind(Net, weights_only=False),
    "tied": Kind(tied),
    "many": Kind(many),
    "dtypes": Kind(dtypes),
    "nochecksums": Kind(many, crc=False),
    "protocol4": Kind(state_dict, weights_only=False, protocol=4),
}


def save(kind, path):
    """@return what was saved"""
    value = kind.make()
    torch.serialization.set_crc32_options(kind.crc)
    try:
        if kind.by_path:
            torch.save(value, path, pickle_protocol=kind.protocol)
        else:
            buffer = io.BytesIO()
            torch.save(value, buffer, pickle_protocol=kind.protocol)
            path.write_bytes(buffer.getvalue())
    finally:
        torch.serialization.set_crc32_options(True)
    return value


def same(a, b):
    """Equality of what torch.load gives: tensors by dtype, shape, strides and bits."""
    if isinstance(a, torch.Tensor):
        bits = lambda t: t.contiguous().view(torch.uint8) if t.numel() and t.dim() else t.reshape(1)
        return (
            isinstance(b, torch.Tensor)
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a.stride() == b.stride()
            and (a.numel() == 0 or torch.equal(bits(a), bits(b)))
        )
    if isinstance(a, torch.nn.Module):
        return type(a) is type(b) and same(a.state_dict(), b.state_dict())
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def same_arrays(a, b):
    """Equality of what load_supporting_arrays gives: nested dicts of arrays."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same_arrays(a[key], b[key]) for key in a)
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
