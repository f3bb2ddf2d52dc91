"""Where runs train, in words: what this server has, and where a new run will go."""

import math

import torch

from gan.devices import describe_device
from gan.runs.placement import Place
from ui.text import plain
from ui.workshop import manager


def server_devices() -> str:
    """What this server trains on, as Markdown; of several GPUs one line each."""
    if cluster := manager().cluster:
        count = sum(not node.fault for node in cluster.nodes())
        if not cluster.room():
            return "This server trains on a cluster, but no machine in it can train now. Runs wait until one joins."
        return f"This server trains on a cluster of {count} machine{'' if count == 1 else 's'}. Runs at once: {cluster.room()}."
    devices, most = manager().devices, manager().max_runs
    if len(devices) == 1:
        return f"This server trains on: {plain(describe_device(devices[0]))}. Runs at once: {most}."
    lines = [f"{_name(place)}: {_runs(place.runs)}." for place in manager().places()]
    return "  \n".join([f"This server trains on {len(devices)} GPUs. Runs at once on each: {most}.", *lines])


def next_device() -> str:
    """Where a new run will train, as Markdown; empty if this server has one device."""
    if manager().cluster:
        return "Your run will train on a machine in this server's cluster."
    if len(manager().devices) == 1:
        return ""
    place = manager().next_place()
    return f"Your run will train on {_name(place)}." if place else "It will train on the first GPU with room."


def _name(place: Place) -> str:
    free = f", {place.free / 2**30:.1f} GiB free" if math.isfinite(place.free) else ""
    return f"{place.device} ({plain(torch.cuda.get_device_name(place.device))}{free})"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
