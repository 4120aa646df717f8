"""How good is a checkpoint? ``python -m engine.training.evaluate`` (``make eval-demo``).

Draws scenes that training never showed, lets CLIP rank the candidates, and lets a judge
that shares nothing with the ranker say what is right (``engine.training.judge``). Prints
the table and writes a contact sheet of the first-ranked pictures. Seeds are fixed, and
nothing is picked by hand.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from flax import nnx
from PIL import Image, ImageDraw

from engine import weights
from engine.api import DEMO_CHECKPOINT, PictureCheck, SamplingOptions, Verdict
from engine.contract import Placement, RunnerSettings
from engine.runner import JaxRunner, load_runner
from engine.training.collage import in_unit
from engine.training.judge import evaluate
from engine.training.objects import Object, load_sprites
from engine.training.scenes import (
    Item,
    Scene,
    canonical_caption,
    draw_scene,
    held_out_counts,
    held_out_objects,
    held_out_scenes,
)
from engine.verdicts import CLASSES, verdict_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from engine.training.objects import Sprites

_SCENES_SEED = 1
_DRAWING_SEED = 2_022
_DIFFERENT = 4.0  # of 255 levels, on average; a small thing moved by a token differs by twenty
_SHEET_COLUMNS = 9
_CAPTION_PX = 48
_SHEET_CELL_PX = 144


def main() -> None:
    """Evaluate a checkpoint from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=DEMO_CHECKPOINT)
    parser.add_argument("--scenes", type=int, default=400, help="how many held-out scenes")
    parser.add_argument("--counts", type=int, default=50, help="how many scenes of equal things")
    parser.add_argument("--objects", type=int, default=100, help="how many objects")
    parser.add_argument(
        "--work", type=Path, default=Path("data/training"), help="where the objects' pictures are"
    )
    parser.add_argument("--candidates", type=int, default=9, help="pictures of each")
    parser.add_argument("--condition-scale", type=float, help="instead of the checkpoint's")
    parser.add_argument("--top-k", type=int, help="instead of the checkpoint's")
    parser.add_argument("--temperature", type=float, help="instead of the checkpoint's")
    parser.add_argument("--scenes-seed", type=int, default=_SCENES_SEED, help="which scenes")
    parser.add_argument(
        "--reconstructions", type=Path, help="where scenes and what VQGAN keeps of them go (.npz)"
    )
    parser.add_argument("--sheet", type=Path, help="where the contact sheet goes")
    options = parser.parse_args()
    runner = load_runner(
        RunnerSettings(
            checkpoint_dir=options.checkpoint,
            slot_count=options.candidates,
            picture_check=PictureCheck.STANDARD,
        )
    )
    sampling = SamplingOptions(
        condition_scale=options.condition_scale,
        top_k=options.top_k,
        temperature=options.temperature,
    )

    def drawn(scenes: list[Scene]) -> list[tuple[Scene, list[NDArray[np.uint8]]]]:
        pictures = draw_ranked(runner, map(canonical_caption, scenes), sampling)
        return list(zip(scenes, pictures, strict=True))

    pictures = drawn(
        held_out_scenes(options.scenes, options.scenes_seed)
        + held_out_counts(options.counts, options.scenes_seed)
    )
    objects = drawn(held_out_objects(options.scenes_seed)[: options.objects])
    sprites = load_sprites(options.work / "objects")
    print(evaluate(pictures, objects, sprites))
    print("Objects as training shows them, alone on white:")
    print(evaluate((), drawn([Scene(items=(Item(thing=one),)) for one in Object]), sprites))
    of_things, of_objects = (
        distinct_count(candidates for _, candidates in some) for some in (pictures, objects)
    )
    print(
        f"Of the {options.candidates} candidates of a prompt, {of_things:.1f} show the things "
        f"differently, {of_objects:.1f} the object"
    )
    kept: dict[str, NDArray[np.uint8]] = {}
    for name, some in (("things", pictures), ("objects", objects)):
        wanted, got = reconstructed(options.checkpoint, [scene for scene, _ in some], sprites)
        kept |= {f"{name}_wanted": wanted, f"{name}_got": got}
        print(f"VQGAN's reconstruction of these {name}: {psnr(wanted, got):.1f} dB PSNR")
    if options.reconstructions:
        np.savez(options.reconstructions, allow_pickle=False, **kept)
    for check in (PictureCheck.STANDARD, PictureCheck.STRICT):
        print(
            false_alarms(runner, [one for _, some in (*pictures, *objects) for one in some], check)
        )
    if options.sheet:
        shown = [*pictures[:15], *pictures[options.scenes : options.scenes + 3], *objects[:18]]
        contact_sheet([(canonical_caption(s), best[0]) for s, best in shown]).save(options.sheet)


def distinct_count(drawn: Iterable[Sequence[NDArray[np.uint8]]]) -> float:
    """Mean number of candidates that differ from each before them, beyond a few soft pixels."""
    counts: list[int] = []
    for candidates in drawn:
        kept: list[NDArray[np.int16]] = []
        for one in (picture.astype(np.int16) for picture in candidates):
            if all(np.abs(one - other).mean() > _DIFFERENT for other in kept):
                kept.append(one)
        counts.append(len(kept))
    return float(np.mean(counts))


def reconstructed(
    checkpoint: Path, scenes: Sequence[Scene], sprites: Sprites
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return pictures of ``scenes`` and what VQGAN's codes keep of them, [N, side, side, 3]."""
    model = weights.load_model(weights.VQGAN, checkpoint / "vqgan")
    through_codes = nnx.jit(lambda vqgan, pixels: vqgan.decode(vqgan.encode(pixels)))
    rng = random.Random(_DRAWING_SEED)  # noqa: S311 - places in pictures, not secrets
    side_px = model.config.resolution
    wanted = np.stack([draw_scene(scene, rng, side_px, sprites) for scene in scenes])
    got = np.asarray(through_codes(model, in_unit(wanted)))
    return wanted, np.round(np.clip(got, 0, 1) * 255).astype(np.uint8)


def psnr(wanted: NDArray[np.uint8], got: NDArray[np.uint8]) -> float:
    """Mean peak signal-to-noise ratio of pictures, in dB."""
    squared_error = ((got.astype(np.float64) - wanted) ** 2).mean(axis=(1, 2, 3))
    return float((10 * np.log10(255**2 / squared_error)).mean())


def false_alarms(
    runner: JaxRunner, pictures: Sequence[NDArray[np.uint8]], check: PictureCheck
) -> str:
    """Tell how many of ``pictures``, which are all harmless, a picture check would touch."""
    verdicts: Counter[Verdict] = Counter()
    for few in _in_groups(pictures, runner.slot_count):
        for shares in runner.classify(np.stack(few)).tolist():
            verdicts[verdict_of(dict(zip(CLASSES, shares, strict=True)), None, check)] += 1
    return (
        f"picture check {check}: of {len(pictures):,} pictures {verdicts[Verdict.BORDERLINE]} "
        f"hidden, {verdicts[Verdict.UNSAFE]} withheld"
    )


def _in_groups(
    pictures: Sequence[NDArray[np.uint8]], size: int
) -> Iterator[Sequence[NDArray[np.uint8]]]:
    return (pictures[start : start + size] for start in range(0, len(pictures), size))


def draw_ranked(
    runner: JaxRunner,
    prompts: Iterable[str],
    sampling: SamplingOptions,
    seed: int = _DRAWING_SEED,
) -> Iterator[list[NDArray[np.uint8]]]:
    """For each prompt, as many pictures as the runner has slots, best first."""
    slots = range(runner.slot_count)
    for prompt in prompts:
        runner.place(
            [Placement(slot=i, prompt=prompt, seed=seed, index=i, options=sampling) for i in slots]
        )
        for _ in range(runner.chunk_count):
            runner.step()
        pixels = runner.render(runner.tokens(slots))
        yield [pixels[i] for i in np.argsort(-runner.rank(prompt, pixels).scores, kind="stable")]


def contact_sheet(pictures: Sequence[tuple[str, NDArray[np.uint8]]]) -> Image.Image:
    """Captions under pictures, in rows."""
    rows = -(-len(pictures) // _SHEET_COLUMNS)
    step_y = _SHEET_CELL_PX + _CAPTION_PX
    sheet = Image.new("RGB", (_SHEET_COLUMNS * (_SHEET_CELL_PX + 8), rows * step_y), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (text, pixels) in enumerate(pictures):
        row, column = divmod(number, _SHEET_COLUMNS)
        left, top = column * (_SHEET_CELL_PX + 8) + 4, row * step_y
        cell = Image.fromarray(pixels).resize((_SHEET_CELL_PX, _SHEET_CELL_PX))
        sheet.paste(cell, (left, top))
        pen.multiline_text((left, top + _SHEET_CELL_PX + 2), _wrapped(text), fill="black")
    return sheet


def _wrapped(text: str, width: int = 26) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


if __name__ == "__main__":
    main()
