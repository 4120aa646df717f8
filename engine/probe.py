"""``python -m engine.probe``: says what JAX computes on here, in one line of JSON.

A process of its own, told its device by the same variables as an engine process: JAX can be
asked only once, and who asks must not hold the device.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Final

from engine.api import EngineError

if TYPE_CHECKING:
    from engine.devices import Device

_ANSWER_WITHIN_S: Final = 60.0
_LAST_LINE_CHARS: Final = 300


async def look_at(device: Device) -> str:
    """What is behind a device's name, in words: "cpu", "gpu (NVIDIA H100)".

    Raises:
        EngineError: It cannot be used.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.probe"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **device.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            answer, words = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise EngineError(
            f"The device {device.name} did not answer within {_ANSWER_WITHIN_S:.0f} s: see whether "
            "another program holds it, or set ENGINE_DEVICES to another one."
        ) from None
    if process.returncode:
        last = (words.decode("utf-8", "replace").strip().splitlines() or ["no word"])[-1]
        raise EngineError(
            f"The device {device.name} cannot be used ({last[:_LAST_LINE_CHARS]}): set "
            "ENGINE_DEVICES to another one, or install JAX for it."
        )
    found = json.loads(answer.splitlines()[-1])
    platform, kind = found["platform"], found["kind"]
    return platform if kind == platform else f"{platform} ({kind})"


def main() -> None:
    """Print what was found."""
    import jax  # noqa: PLC0415 # only this process may load it

    device = jax.local_devices()[0]
    print(json.dumps({"platform": device.platform, "kind": device.device_kind}))  # noqa: T201 # its answer


if __name__ == "__main__":
    main()
