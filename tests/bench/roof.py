"""What the device can do at best: bytes read and sums done in a second.

Measured in a process of its own, as the engine is: ``measured_roof``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

_READ_FLOATS = 2**28  # 1 GiB
_MATRIX_SIDE = 4_096
_RUNS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """Best of several runs.

    Attributes:
        bytes_per_s: Memory read, 1 GiB at a time.
        flop_per_s: A product of two matrices of 4,096 by 4,096 in the given dtype.
    """

    bytes_per_s: float
    flop_per_s: float


def measured_roof(environment: dict[str, str], dtype: str) -> Roof:
    """Measure in a new process with these variables."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "tests.bench.roof", dtype],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return Roof(**json.loads(done.stdout))


def main() -> None:
    """Print both numbers as JSON."""
    import jax  # noqa: PLC0415 - only this process may import it
    import jax.numpy as jnp  # noqa: PLC0415

    dtype = jnp.dtype(sys.argv[1])
    # A product of a matrix and two vectors reads the matrix once and does little else.
    wide = jnp.ones((_READ_FLOATS // 4_096, 4_096), jnp.float32)
    vectors = jnp.ones((4_096, 2), jnp.float32)
    square = jnp.ones((_MATRIX_SIDE, _MATRIX_SIDE), dtype)
    multiply = jax.jit(jnp.matmul)
    read_s = _best(lambda: multiply(wide, vectors))
    product_s = _best(lambda: multiply(square, square))
    roof = {"bytes_per_s": wide.nbytes / read_s, "flop_per_s": 2 * _MATRIX_SIDE**3 / product_s}
    print(json.dumps(roof))


def _best(run: Any) -> float:
    run().block_until_ready()
    times: list[float] = []
    for _ in range(_RUNS):
        begun_s = time.perf_counter()
        run().block_until_ready()
        times.append(time.perf_counter() - begun_s)
    return min(times)


if __name__ == "__main__":
    main()
