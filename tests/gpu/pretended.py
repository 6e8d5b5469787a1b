"""A pretended second device, so that a tensor made on the wrong device is found without a GPU.

    with pretended.device() as events:
        train(task, run)  # with training.device "meta"

Inside, tensors on PyTorch's device "meta" have values: they are held on the CPU and computed there,
by the same generator, so what is computed equals what the CPU gives. All else is as on a GPU: an
operation on tensors of both devices raises `WrongDevice`, and so does a CPU generator for numbers
on the device. `events` counts what a GPU's host has to wait for: values read, boolean indices.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

DEVICE = torch.device("meta")
aten = torch.ops.aten
# Operations that take tensors of the CPU beside those of a GPU: positions, lengths of sequences.
MIXED = {
    aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default,
    aten.index_put.default, aten._pack_padded_sequence.default, aten.copy_.default,
    aten._pack_padded_sequence_backward.default, aten._pad_packed_sequence.default,
}  # fmt: skip
# Their second result, lengths or sizes of batches, is on the CPU.
LENGTHS = {aten._pack_padded_sequence.default, aten._pad_packed_sequence.default}
# The host waits for the device: for a value, or for how many there are.
WAITS = {
    aten._local_scalar_dense.default: "value",
    aten.nonzero.default: "nonzero",
    aten.masked_select.default: "masked_select",
    aten._unique2.default: "unique",
    aten.equal.default: "equal",
    aten.is_nonzero.default: "value",
    aten.repeat_interleave.Tensor: "repeat_interleave",
}


class WrongDevice(RuntimeError):
    """An operation was given tensors of different devices."""


class OnDevice(Tensor):
    """A tensor that says it is on DEVICE; `held` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnDevice":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=DEVICE,
            requires_grad=False,
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __getitem__(self, key: Any) -> Tensor:
        # A list becomes a tensor of the device out of sight, without values.
        return super().__getitem__(torch.tensor(key) if isinstance(key, list) else key)

    def __repr__(self, **_: Any) -> str:
        return f"OnDevice({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):  # type: ignore[override]
        return _run(func, args, kwargs or {}, Counter())

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class _Mode(TorchDispatchMode):
    def __init__(self, events: Counter) -> None:
        super().__init__()
        self.events = events

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {}, self.events)


@contextmanager
def device() -> Iterator[Counter]:
    """DEVICE with values; yields the counts of what the host waited for."""
    events: Counter = Counter()
    with ExitStack() as stack:
        stack.enter_context(_Mode(events))
        stack.enter_context(patch.object(torch, "autocast", _autocast))
        for name in ("tensor", "as_tensor"):  # which make tensors of numbers unseen by any mode
            stack.enter_context(patch.object(torch, name, _moved(getattr(torch, name))))
        yield events


def _moved(make: Any) -> Any:
    def made(data: Any, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        found = make(data, *args, **kwargs)
        return found if device is None else found.to(device)

    return made


def _autocast(kind: str, *_: Any, **__: Any) -> Any:
    """No autocast is in effect on DEVICE, which `torch.autocast` does not know."""
    if kind == DEVICE.type:
        return torch.amp.autocast("cpu", enabled=False)
    return _real(kind, *_, **__)


_real = torch.autocast


def _run(func: Any, args: tuple, kwargs: dict, events: Counter) -> Any:
    flat, form = tree_flatten((args, kwargs))
    tensors = [one for one in flat if isinstance(one, Tensor)]
    ours = [one for one in tensors if isinstance(one, OnDevice)]
    wanted = kwargs.get("device")
    makes = wanted is not None and torch.device(wanted).type == DEVICE.type
    if not ours and not makes:
        return func(*args, **kwargs)
    empty = [one for one in tensors if one.device == DEVICE and not isinstance(one, OnDevice)]
    assert not empty, f"{func}: a tensor without values was made out of sight of the stand-in"
    _check(func, tensors, ours, kwargs.get("generator"))
    if func in WAITS and ours:
        events[WAITS[func]] += 1
    if func is aten.index.Tensor and any(one.dtype == torch.bool for one in tensors[1:]):
        events["boolean index"] += 1
    if func is aten._to_copy.default and wanted is not None and not makes:
        events["copy to the host"] += 1
    inner_args, inner_kwargs = tree_unflatten(
        [one.held if isinstance(one, OnDevice) else one for one in flat], form
    )
    if wanted is not None:
        inner_kwargs["device"] = torch.device("cpu")
    with torch.no_grad():
        found = func(*inner_args, **inner_kwargs)
    if wanted is not None and not makes:  # brought to the host
        return found
    if func is aten.copy_.default and not isinstance(args[0], OnDevice):
        events["copy to the host"] += 1
        return args[0]
    if torch.Tag.inplace_view in func.tags:  # the wrapper takes the new shape, too
        with no_dispatch():
            func(*args, **kwargs)
    if func._schema.is_mutable and ours:
        return _same(found, flat)
    if func in LENGTHS:
        return OnDevice(found[0]), found[1]
    return tree_map_only(Tensor, _held, found)


def _held(found: Tensor) -> OnDevice:
    # A wrapper cannot say that its values are yet to be conjugated or negated.
    return OnDevice(found.resolve_conj().resolve_neg())


def _same(found: Any, flat: list) -> Any:
    """What an operation in place returns: the wrappers of the tensors that it changed."""
    wrappers = {id(one.held): one for one in flat if isinstance(one, OnDevice)}
    return tree_map_only(Tensor, lambda one: wrappers.get(id(one), one), found)


def _check(func: Any, tensors: list[Tensor], ours: list[Tensor], generator: Any) -> None:
    if generator is not None and generator.device.type != DEVICE.type:
        raise WrongDevice(f"{func}: a generator of the {generator.device} for the second device")
    strangers = [one for one in tensors if not isinstance(one, OnDevice) and one.dim()]
    allowed = func in MIXED or func is aten._to_copy.default or not ours
    if strangers and not allowed:
        shapes = [tuple(one.shape) for one in strangers]
        raise WrongDevice(f"{func}: tensors of the CPU {shapes} beside those of the second device")
