"""Which device an engine process computes on, and how it is told before it imports JAX.

``auto`` is whatever JAX finds, ``cpu`` the processor, ``gpu:1`` the second NVIDIA card.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AUTO: Final = "auto"
_CPU: Final = "cpu"
_KNOWN: Final = re.compile(r"auto|cpu|gpu:\d{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What one engine process computes on.

    Attributes:
        name: ``auto``, ``cpu`` or ``gpu:N``.
        cpu_ids: The processor cores it may use; ``None`` is all.
    """

    name: str = AUTO
    cpu_ids: tuple[int, ...] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for the process.

        Source: JAX, "Configuration options" (JAX_PLATFORMS); CUDA C++ Programming Guide,
        "CUDA Environment Variables" (CUDA_VISIBLE_DEVICES). Naming the platform makes JAX
        fail where it would silently fall back to the processor.
        """
        if self.name == AUTO:
            return {}
        if self.name == _CPU:
            return {"JAX_PLATFORMS": "cpu"}
        return {"JAX_PLATFORMS": "cuda", "CUDA_VISIBLE_DEVICES": self.name.removeprefix("gpu:")}


def devices_of(names: Sequence[str], *, cpu_ids: Sequence[int] | None = None) -> list[Device]:
    """Return the devices of some names; several that are ``cpu`` share the cores out.

    Left alone, each would start as many threads as there are cores, and all would wait for
    each other. All get as many, so that all round alike. Example: of the cores 0 to 4, two
    processes get 0, 1 and 2, 3.

    Args:
        names: One for each process.
        cpu_ids: The cores to share; by default those this process may use.

    Raises:
        ValueError: A name is none.
    """
    for name in names:
        if not _KNOWN.fullmatch(name):
            raise ValueError(f"{name!r} is no device")
    shares = iter(_shares(cpu_ids or _own_cpu_ids(), names.count(_CPU)))
    return [Device(name=name, cpu_ids=next(shares) if name == _CPU else None) for name in names]


def _shares(cpu_ids: Sequence[int], count: int) -> list[tuple[int, ...] | None]:
    if count <= 1 or not cpu_ids:
        return [None] * count
    if len(cpu_ids) < count:
        return [(cpu_ids[number % len(cpu_ids)],) for number in range(count)]
    size = len(cpu_ids) // count
    return [tuple(cpu_ids[size * n : size * (n + 1)]) for n in range(count)]


def _own_cpu_ids() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return []  # such a system cannot give cores to processes either
