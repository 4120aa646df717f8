"""How far are reconstructions from their originals, as people see it? Part of ``make eval-demo``.

Runs in an environment of its own, with PyTorch and the package stlpips-pytorch (BSD-2-Clause),
which brings the weights of a shift-tolerant LPIPS with AlexNet. The pictures come as an .npz
from ``python -m engine.training.evaluate --reconstructions``.

Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual
Metric"; Ghildyal & Liu 2022, "Shift-tolerant Perceptual Similarity Metric".
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import torch


def main() -> None:
    """Print the mean distance for each pair of arrays ``<name>_wanted``, ``<name>_got``."""
    if len(sys.argv) != 2:
        sys.exit("Usage: python -m tests.bench.perceptual RECONSTRUCTIONS.npz")
    arrays = np.load(sys.argv[1])
    distance = _metric()
    for key in arrays.files:
        name, _, part = key.rpartition("_")
        if part == "wanted":
            wanted, got = (_tensor(arrays[f"{name}_{which}"]) for which in ("wanted", "got"))
            with torch.no_grad():
                mean = float(distance(wanted, got, normalize=True).mean())
            print(f"VQGAN's reconstruction of these {name}: {mean:.3f} ST-LPIPS (AlexNet)")


def _metric() -> torch.nn.Module:
    """The network; what its package imports and does not use for AlexNet stays out."""
    for name, used in (
        ("torchvision", "models"),
        ("IPython", "embed"),
        ("torchsummary", "summary"),
    ):
        stub = ModuleType(name)
        setattr(stub, used, None)
        sys.modules.setdefault(name, stub)
    from stlpips_pytorch import stlpips  # noqa: PLC0415 - needs the stubs above

    return stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)


def _tensor(pictures: np.ndarray) -> torch.Tensor:
    """Pictures uint8 [N, H, W, 3] as float32 [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(pictures.astype(np.float32) / 255).permute(0, 3, 1, 2)


if __name__ == "__main__":
    main()
