"""Saved training states, read and checked before anything uses them. Knows nothing about runs, folders or training.

A state is a dictionary of tensors and plain values (TrainState.state_dict). Optimizers trust their input: fused Adam follows the
pointers of its moments without checking sizes, so a moment of another shape crashes the process. So everything is compared here first.
"""

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gan.config import TrainConfig
from gan.networks.blurred_picture import BLURRED
from gan.training.augment import STEER_EVERY
from gan.untrusted import is_number, is_whole, open_regular

NETWORKS = ("generator", "discriminator", "averaged")
# The moments that an optimizer keeps for each parameter, next to its number of steps.
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg",)}
# Numbers of a parameter group that come from the run's settings, and options that depend only on the device.
_GOVERNED = frozenset({"lr", "betas", "weight_decay"})
_DEVICES_OWN = frozenset({"capturable", "foreach", "fused"})
# Live settings that states from before version 0.7 lack.
_LATER = frozenset({"adversarial_weight", "l1_weight", "cycle_weight", "identity_weight"})
_ARCHIVE = b"PK\x03\x04"  # torch.save() writes a zip archive


def read(file: Path, mmap: bool = False) -> dict[str, Any]:
    """The dictionary in a state file, on the CPU. Executes nothing that the file holds.

    mmap: read tensors only when they are used.

    Raises:
        OSError: there is no such file, or it cannot be read.
        pickle.UnpicklingError: it holds more than numbers and texts.
        ValueError: it is damaged, or its plain values are not those of a state.
    """
    stored = _load(file, mmap)
    check_values(stored)
    return stored


def read_networks(file: Path) -> dict[str, Any]:
    """The tensors of networks in a file of torch.save(), by network and name; unchecked. Executes nothing that the file holds.

    Raises:
        OSError, pickle.UnpicklingError, ValueError: see read().
    """
    stored = _load(file, False)
    if not isinstance(stored, dict):
        raise ValueError(f"it does not hold networks, but {type(stored).__name__}")
    return stored


def _load(file: Path, mmap: bool) -> Any:
    with open_regular(file) as opened:
        if opened.read(len(_ARCHIVE)) != _ARCHIVE:
            raise ValueError("it is not a file of torch.save(), or it is cut short")
        if not zipfile.is_zipfile(opened):  # its table of contents comes last
            raise ValueError("it is cut short")
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except (OSError, MemoryError, pickle.UnpicklingError):
        raise
    except Exception as error:  # a damaged file can make torch's reader fail in any way
        raise ValueError(f"it is damaged ({_short(error)})") from None


def check_values(stored: Any) -> None:
    """Checks the plain values of a state: counters, names, settings.

    Raises:
        ValueError: one is missing or invalid.
    """
    if not isinstance(stored, dict):
        raise ValueError(f"it does not hold a training state, but {type(stored).__name__}")
    rules = {
        "step": (is_whole, "a whole number from 0 on"),
        "images_seen": (lambda v: is_whole(v, 10**15), "a whole number from 0 on"),
        "summed": (is_whole, "a whole number from 0 on"),
        "changes": (is_whole, "a whole number from 0 on"),
        "threads": (lambda v: is_whole(v, 10**5) and v > 0, "a whole number from 1 on"),
        "elapsed_s": (lambda v: is_number(v) and 0 <= v < 1e12, "seconds from 0 on"),
        "precision": (lambda v: v in ("fp32", "bf16"), "fp32 or bf16"),
        "channels_last": (lambda v: isinstance(v, bool), "true or false"),
        "device": (lambda v: isinstance(v, str) and v in ("cpu", "cuda"), "cpu or cuda"),
        "config": (lambda v: isinstance(v, dict), "the run's settings"),
    }
    for name, (holds, rule) in rules.items():
        value = _of(stored, name)
        if isinstance(value, torch.Tensor) or not holds(value):
            raise ValueError(f"{name} must be {rule}; got {_short(value)}")
    for name in ("rng", "sums"):
        _tensor(_of(stored, name), name)
    if "augmentation" in stored:  # since 0.5
        _tensor(stored["augmentation"], "augmentation")
    for name in TrainConfig.live_fields():
        if name not in _LATER:
            _of(stored["config"], name, "config ")


def live_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The live settings in a saved state's config. States from before a setting was added lack it; they keep the run's own."""
    return {name: stored[name] for name in TrainConfig.live_fields() if name in stored}


def check_tensors(stored: Mapping[str, Any], fresh: Mapping[str, Any], parameters: Mapping[str, Sequence[torch.Tensor]]) -> None:
    """Compares every tensor of a state with those of a new one: presence, shape, number format and layout.

    Args:
        stored: a state that check_values() has passed.
        fresh: a new state with the same settings (TrainState.state_dict).
        parameters: for each optimizer ("optimizer_g", "optimizer_d"), its parameters in order.

    Raises:
        ValueError: something is missing, unexpected or different.
    """
    check_networks(stored, fresh)
    moments = MOMENTS[fresh["config"]["optimizer"]]
    same_device = stored["device"] == fresh["device"]
    for name, trained in parameters.items():
        _optimizer(name, _of(stored, name), fresh[name], moments, trained, same_device)
    _same("sums", _tensor(stored["sums"], "sums"), fresh["sums"])
    if "buffer" in fresh:
        if not _same("buffer", _tensor(_of(stored, "buffer"), "buffer"), fresh["buffer"]).isfinite().all():
            raise ValueError("buffer has a number that is not finite")
        filled = _same("buffer_filled", _tensor(_of(stored, "buffer_filled"), "buffer_filled"), fresh["buffer_filled"])
        most = fresh["buffer"].shape[1]
        if not all(n in range(most + 1) for n in filled.tolist()):
            raise ValueError(f"buffer_filled must be whole numbers up to {most}; got {filled.tolist()}")
    if "augmentation" in stored:
        chance, total, batches = _same("augmentation", _tensor(stored["augmentation"], "augmentation"), fresh["augmentation"]).tolist()
        if not (0 <= chance <= 1 and abs(total) <= batches <= STEER_EVERY):
            raise ValueError(f"augmentation must be a probability, a sum and a number of batches; got {chance:g}, {total:g}, {batches:g}")
    rng = _tensor(stored["rng"], "rng")
    if rng.dtype != torch.uint8 or rng.dim() != 1:
        raise ValueError(f"rng must be bytes in a row; got {rng.dtype} of shape {tuple(rng.shape)}")
    if same_device:
        _same("rng", rng, fresh["rng"])


def check_networks(stored: Any, fresh: Mapping[str, Any]) -> None:
    """Compares the tensors of all networks with those of a new state.

    Raises:
        ValueError: something is missing, unexpected or different.
    """
    for name in NETWORKS:
        _network(name, _of(stored, name), fresh[name])


def with_start_of(fresh: Mapping[str, Any], networks: Any) -> Any:
    """Networks from anywhere, without the blurred picture with which they may have started, and with that of a new state if it has one."""
    if not isinstance(networks, dict):
        return networks
    kept: dict[str, Any] = {}
    for name in NETWORKS:
        if isinstance(found := networks.get(name), dict):
            own = {key: tensor for key, tensor in fresh[name].items() if key.startswith(BLURRED)}
            kept[name] = {key: tensor for key, tensor in found.items() if not str(key).startswith(BLURRED)} | own
    return networks | kept


def _network(name: str, found: Any, expected: Mapping[str, torch.Tensor]) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{name} must be tensors by name; got {_short(found)}")
    if odd := sorted(map(str, found.keys() ^ expected.keys())):
        raise ValueError(f"{name} {'lacks' if odd[0] in expected else 'has an unknown tensor'} {odd[0][:80]}")
    for key, tensor in expected.items():
        value = _same(f"{name}.{key}", _tensor(found[key], f"{name}.{key}"), tensor)
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{name}.{key} has a number that is not finite")


def _optimizer(
    name: str, found: Any, fresh: Mapping[str, Any], moments: Sequence[str], trained: Sequence[torch.Tensor], same_device: bool
) -> None:
    _groups(name, _of(found, "param_groups", f"{name} "), fresh["param_groups"])
    states = _of(found, "state", f"{name} ")
    numbers = range(len(trained))
    # Moments appear with the first step, for all parameters at once: a network that was always frozen has none.
    if not isinstance(states, dict) or (states and set(states) != set(numbers)):
        raise ValueError(f"{name} must hold moments of all of its {len(trained)} parameters, or of none")
    seen: set[int] = set()
    for number, held in states.items():
        place, parameter = f"{name} of parameter {number}", trained[number]
        if not isinstance(held, dict) or set(held) != {"step", *moments}:
            raise ValueError(f"{place} must hold step, {', '.join(moments)}; got {_short(list(held) if isinstance(held, dict) else held)}")
        step = _tensor(held["step"], f"{place}, step")
        if step.shape or step.dtype != torch.float32 or not 0 <= float(step) < 1e12:
            raise ValueError(f"{place}: step must be one number from 0 on; got {_short(step)}")
        for key in moments:
            moment = _same(f"{place}, {key}", _tensor(held[key], f"{place}, {key}"), parameter)
            # Another kind of device may use another weight layout: TrainState copies the moments into it.
            if same_device and _strides(moment) != _strides(parameter):
                raise ValueError(f"{place}: {key} lies in memory with strides {moment.stride()}, not {parameter.stride()}")
            if moment.data_ptr() in seen:
                raise ValueError(f"{place}: {key} shares its memory with another tensor")
            seen.add(moment.data_ptr())


def _groups(name: str, found: Any, fresh: Sequence[Mapping[str, Any]]) -> None:
    if not isinstance(found, list) or len(found) != len(fresh):
        raise ValueError(f"{name} must have {len(fresh)} group of parameters; got {_short(found)}")
    for group, expected in zip(found, fresh, strict=True):
        if not isinstance(group, dict):
            raise ValueError(f"{name} must describe its group of parameters; got {_short(group)}")
        for key, value in expected.items():
            choice = value is None or isinstance(value, bool)
            if key not in group and choice:  # from another version of torch, which sets what is missing
                continue
            got = _of(group, key, f"{name} ")
            if isinstance(got, torch.Tensor):  # a learning rate on the device, for a recorded graph
                if key in _GOVERNED:
                    continue
                raise ValueError(f"{name} {key} must be {value!r}; got a tensor")
            if key in _DEVICES_OWN:
                if not (got is None or isinstance(got, bool)):
                    raise ValueError(f"{name} {key} must be true, false or nothing; got {_short(got)}")
            elif key not in _GOVERNED and (type(got) is not type(value) or got != value):
                raise ValueError(f"{name} {key} must be {value!r}; got {_short(got)}")


def _of(found: Any, key: str, where: str = "") -> Any:
    if not isinstance(found, dict):
        raise ValueError(f"{where or 'it '}must be a dictionary; got {_short(found)}")
    if key not in found:
        raise ValueError(f"{where}{key} is missing, so another version of this project wrote it, or it is damaged")
    return found[key]


def _tensor(value: Any, name: str) -> torch.Tensor:
    """A plain tensor with numbers: not sparse, not quantized, not without memory."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        raise ValueError(f"{name} must be a tensor of numbers; got {_short(value)}")
    return value


def _same(name: str, found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ValueError(
            f"{name} has shape {tuple(found.shape)} and format {found.dtype}, not {tuple(expected.shape)} and {expected.dtype}"
        )
    return found


def _strides(tensor: torch.Tensor) -> list[int]:
    """The stride of each axis longer than 1; the stride of an axis of length 1 can be anything."""
    return [stride for stride, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1]


def _short(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)} and format {value.dtype}"
    if isinstance(value, BaseException):
        return (str(value).splitlines() or [""])[0][:120]
    if isinstance(value, str | int | float | bool | None):
        return repr(value if not isinstance(value, str) else value[:60])[:80]
    return type(value).__name__ if not isinstance(value, list) else f"a list of {len(value)}"
