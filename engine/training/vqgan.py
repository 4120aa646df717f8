"""Trains the VQGAN: first as a plain autoencoder, then with its codebook, then its decoder alone.

Every entry of the codebook is one of a few shapes followed by one of fewer colours, so a code
says both, one apart from the other (a product quantiser). What each half means is a matter of
what the decoder has to make of it: besides plain pictures it gets collages, whose codes come
from several pictures (see ``engine.training.collage``).

The halves start at the centres that k-means finds in the plain autoencoder's latents and are
then learned with the straight-through estimator; those that nothing chooses any more are moved
to where latents are. The first steps see a square of each picture only, which a network of
convolutions learns from as well; the decoder's own steps see whole pictures.

Source: van den Oord et al. 2017, "Neural Discrete Representation Learning", equation 3
(straight-through gradient, codebook and commitment terms, beta 0.25); Esser et al. 2021;
Jégou et al. 2011, "Product Quantization for Nearest Neighbor Search" (the halves).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from engine.models.vqgan import AttentionBlock, ResnetBlock, Vqgan, VqganConfig
from engine.training.collage import (
    BACKGROUND,
    OWN_COLOURS,
    Collages,
    empty_pictures,
    encoded,
    flat_pictures,
    in_unit,
)
from engine.training.dataset import sample
from engine.training.fit import Fit
from engine.training.progress import rows_of_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jaxtyping import Array, Float, Int
    from numpy.typing import NDArray
    from PIL import Image

    from engine.training.dataset import Dataset
    from engine.training.objects import Sprites
    from engine.training.recipe import Recipe
    from engine.training.scenes import Scene

_COMMITMENT = 0.25
_EDGES = 0.5
_REVIVE_EVERY_STEPS = 200
_PICTURES_FOR_CODEBOOK = 1_500
_NEARLY_EQUAL = 0.1  # of the standard deviation of all latents
_CROP_TRIES = 3
_PLAIN_FRACTION = 0.15  # of the decoder's pictures; the others are collages, as DalleBart makes
_OBJECT_CHANCE = 3.0  # of a scene with an object to be seen by the decoder, beside another's
_SHOWN = 16  # pictures on a sheet


class Halves(NamedTuple):
    """What belongs to the two halves of a code."""

    shape: Any
    colour: Any


class SplitVqgan(nnx.Module):
    """A VQGAN whose codebook is made of two."""

    def __init__(self, vqgan: Vqgan, recipe: Recipe) -> None:
        shape_dim = vqgan.config.embed_dim - recipe.colour_dim
        self.vqgan = vqgan
        self.shapes = nnx.Param(jnp.zeros((recipe.shape_count, shape_dim)))
        self.colours = nnx.Param(jnp.zeros((recipe.colour_count, recipe.colour_dim)))

    def halves(self, latents: Float[Array, "... C"]) -> Halves:
        """The two halves of latents, in float32."""
        latents = latents.astype(jnp.float32)
        width = self.shapes.shape[-1]
        return Halves(latents[..., :width], latents[..., width:])

    def codes(self, latents: Halves) -> Halves:
        """The nearest entry for each half."""
        return Halves(*map(_nearest_entry, latents, (self.shapes[...], self.colours[...])))

    def entries(self, codes: Halves) -> Halves:
        """What the codebooks hold."""
        return Halves(self.shapes[...][codes.shape], self.colours[...][codes.colour])

    def joined(self) -> Vqgan:
        """The VQGAN with all pairs of entries as its codebook, in the order of the shapes."""
        shapes, colours = self.shapes[...], self.colours[...]
        pairs = [jnp.repeat(shapes, len(colours), axis=0), jnp.tile(colours, (len(shapes), 1))]
        self.vqgan.codebook.embedding[...] = jnp.concatenate(pairs, axis=1)
        return self.vqgan


def _nearest_entry(latents: Any, entries: Any) -> Any:
    distance = (entries**2).sum(-1) - 2 * latents @ entries.T  # up to a term per latent
    return distance.argmin(-1)


def train(recipe: Recipe, data: Dataset, sprites: Sprites, folder: Path) -> tuple[Vqgan, Collages]:
    """Train until the recipe's last step, from where an earlier run stopped.

    Returns the model and the codes that it gives to the parts of scenes.
    """
    config = VqganConfig.from_json(recipe.vqgan_config())
    split = SplitVqgan(_fresh(config, recipe), recipe)
    some = data.pictures(np.arange(_SHOWN))
    fit = Fit("vqgan", split, recipe.vqgan, folder, show=lambda one: _reconstructions(one, some))
    flats = flat_pictures(config.downscale)
    empty = in_unit(empty_pictures(recipe.side_px))

    def batch(step: int) -> dict[str, Any]:
        rng = np.random.default_rng((recipe.seed, 1, step))
        indices = data.batch_indices(recipe.vqgan.batch_size, rng)
        return _cropped(data, indices, empty, recipe.crop_px, rng)

    if fit.step < recipe.autoencoder_steps:
        fit.run(_plain_loss(flats), batch, until=recipe.autoencoder_steps)
        fit.replace(_with_codebooks_from_latents(fit.model, data, flats, recipe.seed))
        fit.save()
    usage = _Usage(recipe.shape_count, recipe.seed)
    fit.run(_quantised_loss(flats), batch, until=recipe.vqgan.step_count, each=usage.after_step)
    split = fit.model
    colour_codes = np.asarray(split.codes(_flat_latents(split, flats)).colour).tolist()
    collages = Collages.of(split.joined(), colour_codes, recipe.colour_count, sprites)
    return _with_trained_decoder(split.joined(), recipe, data, collages, folder), collages


# --- the decoder alone -----------------------------------------------------------------


class _Drawer(nnx.Module):
    """What turns entries of the codebook into a picture."""

    def __init__(self, vqgan: Vqgan) -> None:
        self.post_quant_conv = vqgan.post_quant_conv
        self.decoder = vqgan.decoder

    def __call__(self, entries: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        return self.decoder(self.post_quant_conv(entries))


def _with_trained_decoder(
    model: Vqgan, recipe: Recipe, data: Dataset, collages: Collages, folder: Path
) -> Vqgan:
    """Train the decoder on whole pictures from the codes they will have: nearly all collages."""
    codebook = np.asarray(model.codebook.embedding[...])
    side = recipe.side_px // model.config.downscale

    def entries(codes: NDArray[np.int16]) -> NDArray[np.float32]:
        return codebook[codes].reshape(-1, side, side, codebook.shape[-1])

    wanted = data.pictures(np.arange(min(_SHOWN, len(data.captions))))
    shown = [sample(recipe.seed, i) for i in range(len(wanted))]
    some = entries(np.stack([collages.codes(one.scene, one.places) for one in shown]))
    draw = nnx.jit(lambda drawer: drawer(some))
    fit = Fit(
        "decoder",
        _Drawer(model),
        recipe.decoder,
        folder,
        show=lambda drawer: rows_of_pictures(wanted, np.asarray(draw(drawer))),
    )
    if fit.step < recipe.decoder.step_count:
        draw_codes = _codes_of_pictures(model, recipe, data, collages)

        def batch(step: int) -> dict[str, Any]:
            indices, codes = draw_codes(np.random.default_rng((recipe.seed, 6, step)))
            return {"entries": entries(codes), "pixels": data.pictures(indices)}

        fit.run(_drawer_loss, batch, until=recipe.decoder.step_count)
    drawer = fit.model
    model.post_quant_conv, model.decoder = drawer.post_quant_conv, drawer.decoder
    return model


def _codes_of_pictures(
    model: Vqgan, recipe: Recipe, data: Dataset, collages: Collages
) -> Callable[[np.random.Generator], tuple[NDArray[np.int64], NDArray[np.int16]]]:
    """Return what draws a batch: which scenes, and their codes, plain ones or a collage's."""
    count = min(recipe.decoder_scene_count, len(data.captions))
    plain = encoded(model, data.pixels[:count])
    samples = [sample(recipe.seed, i) for i in range(count)]
    composed = np.stack([collages.codes(one.scene, one.places) for one in samples])
    chances = np.array([_chance(one.scene) for one in samples])
    chances /= chances.sum()

    def drawn(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        indices = rng.choice(count, recipe.decoder.batch_size, p=chances)
        is_plain = rng.random(len(indices)) < _PLAIN_FRACTION
        return indices, np.where(is_plain[:, None], plain[indices], composed[indices])

    return drawn


def _drawer_loss(drawer: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    wanted, got = batch["pixels"], drawer(batch["entries"]).astype(jnp.float32)
    return reconstruction_loss(wanted, got), {"psnr": _psnr(wanted, got)}


def _chance(scene: Scene) -> float:
    """How often the decoder sees ``scene``; an object is harder than a thing of one colour."""
    has_object = any(item.colour is None for item in scene.items)
    return _OBJECT_CHANCE if has_object else 1.0


def _reconstructions(split: SplitVqgan, pictures: NDArray[np.float32]) -> Image.Image:
    """Pictures, what is left of them in the latents, and in the codes."""

    @nnx.jit
    def drawn(split: Any) -> tuple[Any, Any]:
        latents = split.vqgan.latents(pictures)
        entries = jnp.concatenate(split.entries(split.codes(split.halves(latents))), axis=-1)
        return split.vqgan.decode_latents(latents), split.vqgan.decode_latents(entries)

    return rows_of_pictures(pictures, *map(np.asarray, drawn(split)))


# --- both halves, from squares of pictures ---------------------------------------------


def _fresh(config: VqganConfig, recipe: Recipe) -> Vqgan:
    """A new model whose residual branches add nothing yet.

    It starts as a chain of plain convolutions, which learns colours in a few hundred steps.

    Source: Zhang et al. 2019, "Fixup Initialization" (zero for the last layer of a branch).
    """
    model = Vqgan(config, dtype=jnp.dtype(recipe.dtype), rngs=nnx.Rngs(recipe.seed))
    for _, module in nnx.iter_modules(model):
        if isinstance(module, ResnetBlock):
            _silence(module.conv2)
        elif isinstance(module, AttentionBlock):
            _silence(module.proj_out)
    return model


def _silence(layer: nnx.Conv) -> None:
    layer.kernel[...] = jnp.zeros_like(layer.kernel[...])


def _cropped(
    data: Dataset,
    indices: NDArray[np.int64],
    empty: NDArray[np.float32],
    crop_px: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """A square of each picture, of its parts, and of its background alone."""
    cell_px = data.pixels.shape[1] // data.paints.shape[1]
    cells = crop_px // cell_px
    squares: list[NDArray[np.float32]] = []
    paints: list[NDArray[np.int8]] = []
    for i in indices:
        top, left = lively_square(data.paints[i], cells, rng)
        rows = slice(top * cell_px, top * cell_px + crop_px)
        columns = slice(left * cell_px, left * cell_px + crop_px)
        drawn = np.stack([one[i, rows, columns] for one in (data.pixels, data.parts)])
        behind = empty[data.backgrounds[i], rows, columns]
        squares.append(np.concatenate([in_unit(drawn), behind[None]]))
        paints.append(data.paints[i, top : top + cells, left : left + cells].reshape(-1))
    return {"squares": np.stack(squares), "paints": np.stack(paints).astype(np.int32)}


def lively_square(
    paints: NDArray[np.int8], cells: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Top and left of a square of ``cells`` that shows both things and background, if one does."""
    tries = [
        (int(top), int(left))
        for top, left in rng.integers(0, len(paints) - cells + 1, (_CROP_TRIES, 2))
    ]

    def liveliness(corner: tuple[int, int]) -> int:
        top, left = corner
        behind = int((paints[top : top + cells, left : left + cells] == BACKGROUND).sum())
        return min(behind, cells**2 - behind)

    return max(tries, key=liveliness)


def composed(paints: Int[Array, "B S"], parts: Halves, empty: Halves, flats: Halves) -> Halves:
    """The halves of collages: whose they are, ``paints`` says for each cell."""
    is_behind = (paints == BACKGROUND)[..., None]
    has_own_colours = (paints == OWN_COLOURS)[..., None]
    of_its_colour = flats.colour[jnp.maximum(paints, 0)]
    colour = jnp.where(has_own_colours, parts.colour, of_its_colour)
    return Halves(
        jnp.where(is_behind, empty.shape, parts.shape), jnp.where(is_behind, empty.colour, colour)
    )


def reconstruction_loss(
    wanted: Float[Array, "B H W 3"], got: Float[Array, "B H W 3"]
) -> Float[Array, ""]:
    """Mean absolute and squared error of pixels, and of the steps between neighbours."""
    error = got - wanted
    edges = jnp.abs(jnp.diff(error, axis=1)).mean() + jnp.abs(jnp.diff(error, axis=2)).mean()
    return jnp.abs(error).mean() + jnp.mean(error**2) + _EDGES * edges


def _flat_latents(split: Any, flats: NDArray[np.float32]) -> Halves:
    """The halves of each colour: the mean of a small flat picture's."""
    return split.halves(split.vqgan.latents(jnp.asarray(flats)).mean(axis=1))


def _latents(split: Any, batch: Mapping[str, Any]) -> Halves:
    """The halves of the pictures, their parts and their backgrounds: [B, 3, S, ...]."""
    squares = batch["squares"]
    latents = split.vqgan.latents(squares.reshape(-1, *squares.shape[2:]))
    return split.halves(latents.reshape(*squares.shape[:2], *latents.shape[1:]))


def _drawn_loss(
    split: Any, batch: Mapping[str, Any], halves: Halves, flats: Halves
) -> tuple[Any, dict[str, Any]]:
    """How far pictures from their own halves, and collages, are from what they should be."""
    wanted = batch["squares"][:, 0]
    plain, parts, empty = (Halves(*(half[:, i] for half in halves)) for i in range(3))
    collage = composed(batch["paints"], parts, empty, flats)
    both = [jnp.concatenate(pair, axis=-1) for pair in (plain, collage)]
    got = split.vqgan.decode_latents(jnp.concatenate(both)).astype(jnp.float32)
    got_plain, got_collage = jnp.split(got, 2)
    # a collage without any background cannot know what is behind
    tells_all = jnp.any(batch["paints"] == BACKGROUND, axis=-1)[:, None, None, None]
    got_collage = jnp.where(tells_all, got_collage, wanted)
    loss = (reconstruction_loss(wanted, got_plain) + reconstruction_loss(wanted, got_collage)) / 2
    measured = {"psnr": _psnr(wanted, got_plain), "collage_psnr": _psnr(wanted, got_collage)}
    return loss, {"picture": loss} | measured


def _plain_loss(flats: NDArray[np.float32]) -> Any:
    def loss(split: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        return _drawn_loss(split, batch, _latents(split, batch), _flat_latents(split, flats))

    return loss


def _quantised_loss(flats: NDArray[np.float32]) -> Any:
    fixed = jax.lax.stop_gradient

    def loss(split: Any, batch: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        latents, flat_latents = _latents(split, batch), _flat_latents(split, flats)
        codes, flat_codes = split.codes(fixed(latents)), split.codes(fixed(flat_latents))
        chosen, flat_chosen = split.entries(codes), split.entries(flat_codes)

        def straight_through(latents: Halves, chosen: Halves) -> Halves:
            return Halves(*(z + fixed(c - z) for z, c in zip(latents, chosen, strict=True)))

        picture, measured = _drawn_loss(
            split,
            batch,
            straight_through(latents, chosen),
            straight_through(flat_latents, flat_chosen),
        )
        pairs = [*zip(latents, chosen, strict=True), (flat_latents.colour, flat_chosen.colour)]
        codebook = sum(jnp.mean((c - fixed(z)) ** 2) for z, c in pairs)
        commitment = sum(jnp.mean((z - fixed(c)) ** 2) for z, c in pairs)
        value = picture + codebook + _COMMITMENT * commitment
        measured |= {"drift": commitment, "codes": codes.shape, "latents": latents.shape}
        return value, measured

    return loss


def _psnr(wanted: Any, got: Any) -> Any:
    """Peak signal-to-noise ratio in dB, of values in [0, 1]."""
    return -10 * jnp.log10(jnp.mean((jnp.clip(got, 0, 1) - wanted) ** 2))


class _Usage:
    """Notices shapes that nothing chooses and moves them to recent latents.

    There is no need to for the colours: their entries start at the flat pictures', which are
    looked at in every step.
    """

    def __init__(self, shape_count: int, seed: int) -> None:
        self._counts = np.zeros(shape_count, np.int64)
        self._rng = np.random.default_rng((seed, 3))

    def after_step(self, fit: Fit, measured: dict[str, Any]) -> None:
        codes = np.asarray(measured["codes"]).ravel()
        self._counts += np.bincount(codes, minlength=self._counts.size)
        is_late = fit.step > 0.8 * fit.stage.step_count  # let the codebook settle
        if fit.step % _REVIVE_EVERY_STEPS or is_late:
            return
        unused = np.flatnonzero(self._counts == 0)
        print(f"vqgan: {self._counts.size - unused.size} of {self._counts.size} shapes in use")
        if unused.size:
            latents = np.asarray(measured["latents"])
            latents = latents.reshape(-1, latents.shape[-1])
            split = fit.model
            fresh = self._rng.choice(latents, unused.size)
            split.shapes[...] = split.shapes[...].at[unused].set(fresh)
            fit.replace(split)
        self._counts[:] = 0


def _with_codebooks_from_latents(
    split: SplitVqgan, data: Dataset, flats: NDArray[np.float32], seed: int
) -> SplitVqgan:
    """Start both codebooks at centres of latents; the colours at those of the flat pictures."""
    rng = np.random.default_rng((seed, 2))
    latents_of = nnx.jit(lambda m, x: m.halves(m.vqgan.latents(x)))
    count = min(_PICTURES_FOR_CODEBOOK, len(data.captions))
    groups = np.array_split(data.batch_indices(count, rng), -(-count // 50))
    found = [
        latents_of(split, in_unit(pictures[some]))
        for some in groups
        for pictures in (data.pixels, data.parts)
    ]
    shapes, colours = (
        distinct(np.concatenate([np.asarray(one).reshape(-1, one.shape[-1]) for one in half]))
        for half in zip(*found, strict=True)
    )
    flat = np.asarray(_flat_latents(split, flats).colour)
    others = split.colours.shape[0] - len(flat)
    split.shapes[...] = jnp.asarray(k_means(shapes, split.shapes.shape[0], rng))
    split.colours[...] = jnp.concatenate([flat, k_means(colours, others, rng)])
    return split


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
