"""Trains the VQGAN: first as a plain autoencoder, then with its codebook.

The codebook starts at the centres that k-means finds in the plain autoencoder's latents
and is then learned with the straight-through estimator; entries that nothing chooses any
more are moved to where latents are. Most steps see a square of each picture only, which a
network of convolutions learns from as well; the last ones see whole pictures.

Source: van den Oord et al. 2017, "Neural Discrete Representation Learning", equation 3
(straight-through gradient, codebook and commitment terms, beta 0.25); Esser et al. 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.models.vqgan import AttentionBlock, ResnetBlock, Vqgan, VqganConfig
from engine.training.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jaxtyping import Array, Float
    from numpy.typing import NDArray

    from engine.training.dataset import Dataset
    from engine.training.recipe import Recipe

_COMMITMENT = 0.25
_EDGES = 0.5
_REVIVE_EVERY_STEPS = 200
_PICTURES_FOR_CODEBOOK = 2_000
_NEARLY_EQUAL = 0.1  # of the standard deviation of all latents


def train(recipe: Recipe, data: Dataset, folder: Path) -> Vqgan:
    """Train until the recipe's last step, from where an earlier run stopped."""
    config = VqganConfig.from_json(recipe.vqgan_config())
    fit = Fit("vqgan", _fresh(config, recipe.seed), recipe.vqgan, folder)

    def batch(step: int) -> dict[str, Any]:
        rng = np.random.default_rng((recipe.seed, 1, step))
        if step < recipe.vqgan.step_count - recipe.whole_picture_steps:
            pictures = data.pictures(data.batch_indices(recipe.vqgan.batch_size, rng))
            return {"pixels": crops(pictures, recipe.crop_px, config.downscale, rng)}
        return {"pixels": data.pictures(data.batch_indices(recipe.vqgan.batch_size // 2, rng))}

    if fit.step < recipe.autoencoder_steps:
        fit.run(_plain_loss, batch, until=recipe.autoencoder_steps)
        fit.replace(_with_codebook_from_latents(fit.model, data, recipe.seed))
        fit.save()
    usage = _Usage(config.n_embed, recipe.seed)
    fit.run(_quantised_loss, batch, until=recipe.vqgan.step_count, each=usage.after_step)
    return fit.model


def _fresh(config: VqganConfig, seed: int) -> Vqgan:
    """A new model whose residual branches add nothing yet.

    It starts as a chain of plain convolutions, which learns colours in a few hundred steps.

    Source: Zhang et al. 2019, "Fixup Initialization" (zero for the last layer of a branch).
    """
    model = Vqgan(config, rngs=nnx.Rngs(seed))
    for _, module in nnx.iter_modules(model):
        if isinstance(module, ResnetBlock):
            _silence(module.conv2)
        elif isinstance(module, AttentionBlock):
            _silence(module.proj_out)
    return model


def _silence(layer: nnx.Conv) -> None:
    layer.kernel[...] = jnp.zeros_like(layer.kernel[...])


def crops(
    pictures: Float[np.ndarray, "B H W 3"], side_px: int, step_px: int, rng: np.random.Generator
) -> Float[np.ndarray, "B side_px side_px 3"]:
    """A square of each picture: the livelier of two, since much of a picture is background."""
    return np.stack(
        [
            max((_crop(picture, side_px, step_px, rng) for _ in range(2)), key=np.std)
            for picture in pictures
        ]
    )


def _crop(
    picture: Float[np.ndarray, "H W 3"], side_px: int, step_px: int, rng: np.random.Generator
) -> Float[np.ndarray, "side_px side_px 3"]:
    places = (len(picture) - side_px) // step_px + 1
    top, left = rng.integers(0, places, 2) * step_px
    return picture[top : top + side_px, left : left + side_px]


def reconstruction_loss(
    wanted: Float[Array, "B H W 3"], got: Float[Array, "B H W 3"]
) -> Float[Array, ""]:
    """Mean absolute and squared error of pixels, and of the steps between neighbours."""
    error = got - wanted
    edges = jnp.abs(jnp.diff(error, axis=1)).mean() + jnp.abs(jnp.diff(error, axis=2)).mean()
    return jnp.abs(error).mean() + jnp.mean(error**2) + _EDGES * edges


def _plain_loss(model: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    wanted = batch["pixels"]
    got = model.decode_latents(model.latents(wanted))
    loss = reconstruction_loss(wanted, got)
    return loss, {"loss": loss, "psnr": _psnr(wanted, got)}


def _quantised_loss(model: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    wanted = batch["pixels"]
    latents = model.latents(wanted)
    fixed = jax.lax.stop_gradient
    codes = model.nearest_codes(fixed(latents))
    chosen = model.codebook(codes)
    got = model.decode_latents(latents + fixed(chosen - latents))  # straight through
    picture = reconstruction_loss(wanted, got)
    codebook = jnp.mean((chosen - fixed(latents)) ** 2)
    commitment = jnp.mean((latents - fixed(chosen)) ** 2)
    loss = picture + codebook + _COMMITMENT * commitment
    measured = {"loss": loss, "picture": picture, "psnr": _psnr(wanted, got), "drift": commitment}
    return loss, measured | {"codes": codes, "latents": latents}


def _psnr(wanted: Any, got: Any) -> Any:
    """Peak signal-to-noise ratio in dB, of values in [0, 1]."""
    return -10 * jnp.log10(jnp.mean((jnp.clip(got, 0, 1) - wanted) ** 2))


class _Usage:
    """Notices codebook entries that nothing chooses and moves them to recent latents."""

    def __init__(self, code_count: int, seed: int) -> None:
        self._counts = np.zeros(code_count, np.int64)
        self._rng = np.random.default_rng((seed, 3))

    def after_step(self, fit: Fit, measured: dict[str, Any]) -> None:
        self._counts += np.bincount(
            np.asarray(measured["codes"]).ravel(), minlength=self._counts.size
        )
        is_late = fit.step > 0.8 * fit.stage.step_count  # let the codebook settle
        if fit.step % _REVIVE_EVERY_STEPS or is_late:
            return
        unused = np.flatnonzero(self._counts == 0)
        print(f"vqgan: {self._counts.size - unused.size} of {self._counts.size} codes in use")
        if unused.size:
            latents = np.asarray(measured["latents"])
            latents = latents.reshape(-1, latents.shape[-1])
            fit.replace(_with_entries(fit.model, unused, self._rng.choice(latents, unused.size)))
        self._counts[:] = 0


def _with_entries(model: Vqgan, which: NDArray[Any], entries: NDArray[Any]) -> Vqgan:
    codebook = model.codebook.embedding
    codebook[...] = codebook[...].at[which].set(entries)
    return model


def _with_codebook_from_latents(model: Vqgan, data: Dataset, seed: int) -> Vqgan:
    rng = np.random.default_rng((seed, 2))
    latents_of = nnx.jit(lambda m, x: m.latents(x))
    groups = data.batch_indices(_PICTURES_FOR_CODEBOOK, rng).reshape(-1, 25)
    latents = np.concatenate(
        [np.asarray(latents_of(model, data.pictures(some))) for some in groups]
    ).reshape(-1, model.config.embed_dim)
    centres = k_means(distinct(latents), model.config.n_embed, rng)
    return _with_entries(model, np.arange(len(centres)), centres)


def distinct(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """``points`` [N, C] without those that nearly repeat another: most are plain background."""
    step = _NEARLY_EQUAL * points.std()
    _, first = np.unique(np.round(points / step).astype(np.int16), axis=0, return_index=True)
    return points[np.sort(first)]


def k_means(
    points: NDArray[np.float32], count: int, rng: np.random.Generator, *, rounds: int = 12
) -> NDArray[np.float32]:
    """Centres of ``points`` [N, C] by Lloyd's rounds; an empty centre moves to a point."""
    centres = rng.choice(points, count, replace=len(points) < count)
    for _ in range(rounds):
        owner = np.concatenate([_nearest(centres, some) for some in _blocks(points)])
        sizes = np.bincount(owner, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, owner, points)
        full = sizes > 0
        centres[full] = sums[full] / sizes[full, None]
        centres[~full] = rng.choice(points, int((~full).sum()))
    return centres


def _nearest(centres: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.int64]:
    distance = (centres**2).sum(1) - 2 * points @ centres.T  # up to a term per point
    return distance.argmin(1)


def _blocks(points: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return np.array_split(points, len(points) // 4096 + 1)


def encode_all(model: Vqgan, data: Dataset, path: Path) -> NDArray[np.int16]:
    """Codes int16 [N, S] of every picture, kept at ``path``."""
    if not path.exists():
        encode = nnx.jit(lambda m, x: m.encode(x))
        starts = range(0, len(data.captions), 50)
        parts = [
            np.asarray(encode(model, data.pictures(np.arange(i, i + 50))), np.int16) for i in starts
        ]
        np.save(path, np.concatenate(parts))
    return np.load(path)
