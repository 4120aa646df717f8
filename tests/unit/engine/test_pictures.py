from __future__ import annotations

import io
import json
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from engine import marks
from engine.api import MAX_PROMPT_CHARS, SamplingOptions
from engine.pictures import (
    GUTTER_PX,
    LOSSLESS,
    Encoded,
    MediaType,
    PictureInfo,
    draw_grid,
    encode_jpeg,
    encode_png,
    encode_webp,
    encode_within,
    fit,
    grid_shape,
    read_info,
    recode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Encode = Callable[[NDArray[np.uint8], PictureInfo | None], bytes]


def encode_lossless_webp(pixels: NDArray[np.uint8], info: PictureInfo | None) -> bytes:
    return encode_webp(pixels, info, quality=LOSSLESS)


ENCODERS: dict[str, Encode] = {
    "png": encode_png,
    "webp": encode_webp,
    "lossless webp": encode_lossless_webp,
    "jpeg": encode_jpeg,
}
every_kind = pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)


def square(value: int, side_px: int) -> NDArray[np.uint8]:
    return np.full((side_px, side_px, 3), value, np.uint8)


def info(**changes: Any) -> PictureInfo:
    fields: dict[str, Any] = {
        "prompt": "a cat",
        "seed": 7,
        "index": 2,
        "options": SamplingOptions(temperature=0.5, top_k=3),
        "model": "tiny",
    }
    return PictureInfo(**(fields | changes))


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def scene(side_px: int) -> NDArray[np.uint8]:
    """A picture with soft and hard edges and a little grain, the same each time."""
    row, column = np.mgrid[0:side_px, 0:side_px]
    disc = (row - side_px / 2) ** 2 + (column - side_px / 2) ** 2 < (side_px / 3) ** 2
    soft = np.stack([row * 255 // side_px, column * 255 // side_px, disc * 200], axis=-1)
    grain = np.random.default_rng(0).integers(-12, 13, soft.shape)
    return np.clip(soft + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("encode", [encode_png, encode_lossless_webp])
def test_a_picture_comes_back_with_the_same_pixels(encode: Encode) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)

    image = opened(encode(pixels, info()))

    np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("encode", "largest"), [(encode_webp, 100), (encode_jpeg, 10)])
def test_a_picture_of_a_smaller_kind_looks_the_same(encode: Encode, largest: int) -> None:
    red, blue = (np.full((32, 33, 3), hue, np.uint8) for hue in ((200, 20, 20), (20, 90, 200)))
    pixels = np.hstack([red, blue])  # they meet within what 4:2:0 takes as one pixel

    off = np.abs(np.asarray(opened(encode(pixels, info()))).astype(int) - pixels)

    assert off.mean() < 6
    assert off.max() < largest


HARD_PROMPTS = (
    "\U0001f408\u200d\u2b1b" * (MAX_PROMPT_CHARS // 3),  # a black cat of three characters
    "".join(map(chr, range(32))) + "\x7f\x80\ufffe\uffff",
    "half a character: \ud83d",
    "]]>&lt;</rdf:li>\"'" * 50,
    '"' * MAX_PROMPT_CHARS,
)


@every_kind
@settings(deadline=None, max_examples=50)
@given(
    prompt=st.text(st.characters(), max_size=MAX_PROMPT_CHARS) | st.sampled_from(HARD_PROMPTS),
    seed=st.integers(0, 2**32 - 1),
    index=st.none() | st.integers(0, 15),
    model=st.text(max_size=255),
)
@example(prompt=HARD_PROMPTS[0], seed=0, index=None, model="\U0001f408" * 1_000)
def test_a_picture_says_how_it_was_made(
    encode: Encode, prompt: str, seed: int, index: int | None, model: str
) -> None:
    made = info(prompt=prompt, seed=seed, index=index, model=model)

    assert read_info(encode(square(0, 1), made)) == made


@pytest.mark.parametrize(
    "prompt", HARD_PROMPTS, ids=["cats", "controls", "half", "markup", "quotes"]
)
def test_the_mark_can_be_read_whatever_the_prompt_holds(prompt: str) -> None:
    packet = ET.fromstring(marks.xmp(prompt))  # noqa: S314 - written here

    said = packet.findtext(".//{http://purl.org/dc/elements/1.1/}description//{*}li")
    assert said is not None
    assert len(said) == len(prompt)


def test_a_prompt_longer_than_any_is_refused_before_it_overflows_a_file() -> None:
    with pytest.raises(ValueError, match="too long for a file"):
        info(prompt="a" * (MAX_PROMPT_CHARS + 1))


# Readers of our own, by the letter of the formats: Pillow both writes and reads above.


def xmp_of(file: bytes) -> bytes:
    chunks = dict(webp_chunks(file) if file.startswith(b"RIFF") else jpeg_segments(file))
    if file.startswith(b"RIFF"):
        assert chunks[b"VP8X"][0] & 0b1100 == 0b1100, "the header must announce EXIF and XMP"
        return chunks[b"XMP "]
    return chunks[b"http://ns.adobe.com/xap/1.0/"]


def webp_chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Source: WebP Container Specification, "RIFF File Format"."""
    position = 12
    while position < len(file):
        name, length = struct.unpack_from("<4sI", file, position)
        yield name, file[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def jpeg_segments(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The APP1 segments. Source: XMP Specification Part 3, 1.1.3."""
    position = 2
    while file[position + 1] != 0xDA:  # the pixels begin
        marker, length = struct.unpack_from(">HH", file, position)
        if marker == 0xFFE1:
            name, _, content = file[position + 4 : position + 2 + length].partition(b"\0")
            yield name, content
        position += 2 + length


def png_xmp(file: bytes) -> bytes:
    return opened(file).info["xmp"]


@pytest.mark.parametrize(
    ("encode", "read"),
    [
        (encode_png, png_xmp),
        (encode_webp, xmp_of),
        (encode_lossless_webp, xmp_of),
        (encode_jpeg, xmp_of),
    ],
)
@pytest.mark.parametrize("with_info", [True, False])
def test_a_picture_is_marked_as_made_by_a_machine(
    encode: Encode, read: Callable[[bytes], bytes], *, with_info: bool
) -> None:
    file = encode(square(0, 1), info(prompt="a <cat> &\0") if with_info else None)

    xmp = ET.fromstring(read(file))  # noqa: S314 - written by the line above
    description = xmp.find(".//{*}Description")

    assert description is not None
    assert (
        description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
        == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    assert description.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == "imagine-bot"
    text = description.findtext(".//{http://purl.org/dc/elements/1.1/}description//{*}li")
    assert text == ("a <cat> & " if with_info else "")


def test_a_png_has_its_prompt_as_description_even_if_half_a_character_is_in_it() -> None:
    image = opened(encode_png(square(0, 1), info(prompt="Kätzchen \ud83d")))

    assert image.info["Description"] == "Kätzchen ?"
    assert image.info["Software"] == "imagine-bot"


@pytest.mark.parametrize("encode", [encode_webp, encode_jpeg])
def test_other_kinds_have_their_prompt_where_viewers_look_for_it(encode: Encode) -> None:
    exif = opened(encode(square(0, 1), info(prompt="Kätzchen"))).getexif()

    assert exif[ExifTags.Base.ImageDescription].encode("latin-1").decode() == "Kätzchen"
    assert exif[ExifTags.Base.Software] == "imagine-bot"


def plain_png(**texts: str) -> bytes:
    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword.replace("_", "-"), text)
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def record_with(**changes: Any) -> str:
    fields = {"prompt": "a cat", "seed": 7, "index": 0, "options": {}, "model": "tiny"}
    return json.dumps(fields | changes)


def plain_jpeg(comment: bytes) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_a_record_without_faults_is_read_so_that_the_faults_below_are_what_counts() -> None:
    assert read_info(plain_png(imagine_bot=record_with())) is not None
    assert read_info(plain_jpeg(b"ASCII\0\0\0" + record_with().encode())) is not None


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"not a picture",
        plain_png(),
        plain_png(imagine_bot="{"),
        plain_png(imagine_bot='{"prompt": "a cat"}'),
        plain_png(imagine_bot="[1]"),
        plain_png(imagine_bot='{"options": {"top_k": -1}}'),
        plain_png(imagine_bot=record_with(prompt=5)),
        plain_png(imagine_bot=record_with(seed="7")),
        plain_png(imagine_bot=record_with(prompt="a" * 1_001)),
        plain_png(imagine_bot="[" * 100_000),
        plain_jpeg(b"ASCII\0\0\0{}"),
        plain_jpeg(b"UNICODE\0" + record_with().encode("utf-16")),
        plain_jpeg(b"ASCII\0\0\0\xff"),
        encode_png(square(0, 1), None),
        encode_webp(square(0, 1), None),
    ],
)
def test_a_foreign_file_says_nothing(file: bytes) -> None:
    assert read_info(file) is None


@pytest.mark.filterwarnings("ignore")  # outside of tests, Pillow's warnings end nothing
@every_kind
@settings(deadline=None, max_examples=60)
@given(cut=st.floats(0, 1), changes=st.dictionaries(st.floats(0, 1), st.integers(0, 255)))
def test_a_damaged_file_says_nothing_or_something_of_the_right_kind(
    encode: Encode, cut: float, changes: dict[float, int]
) -> None:
    file = bytearray(encode(square(0, 1), info()))
    for place, value in changes.items():
        file[int(place * (len(file) - 1))] = value

    said = read_info(bytes(file[: int(cut * len(file))]))

    assert said is None or isinstance(said.prompt, str)


# ------------------------------------------------------------------------------- limits


def test_a_png_of_ours_becomes_another_kind_and_says_the_same() -> None:
    png = encode_png(scene(64), info())

    for media_type in MediaType:
        file = recode(png, media_type)

        assert Image.MIME[opened(file).format or ""] == media_type
        assert opened(file).size == (64, 64)
        assert read_info(file) == info()
    assert recode(png, MediaType.PNG) is png


def test_a_png_without_words_becomes_another_kind_without_them() -> None:
    file = recode(plain_png(), MediaType.WEBP)

    assert read_info(file) is None
    assert b"trainedAlgorithmicMedia" in file


def kind(encoded: Encoded | None) -> tuple[str, int] | None:
    return encoded and (encoded.media_type.value, opened(encoded.content).width)


def test_the_tighter_the_limit_the_further_down_the_ladder() -> None:
    pixels = scene(256)
    steps = [
        encode_png(pixels, info()),
        encode_lossless_webp(pixels, info()),
        encode_webp(pixels, info()),
        encode_jpeg(pixels, info(), quality=75),
    ]
    assert all(lighter < heavier for heavier, lighter in pairwise(map(len, steps)))

    reached = [kind(encode_within(pixels, info(), limit_bytes=len(step))) for step in steps]
    below = encode_within(pixels, info(), limit_bytes=len(steps[-1]) - 1)

    assert reached == [
        ("image/png", 256),
        ("image/webp", 256),
        ("image/webp", 256),
        ("image/jpeg", 256),
    ]
    assert kind(below) == ("image/jpeg", 181)
    assert encode_within(pixels, info(), limit_bytes=len(marks.xmp("a cat"))) is None


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    limit_bytes=st.integers(0, 200_000),
)
def test_what_is_within_a_limit_is_never_heavier_and_says_how_it_was_made(
    height: int, width: int, limit_bytes: int
) -> None:
    encoded = encode_within(scene(300)[:height, :width], info(), limit_bytes=limit_bytes)

    if encoded is None:
        assert limit_bytes < 10_000  # words, and 64 by 300 px of JPEG
    else:
        assert len(encoded.content) <= limit_bytes
        assert read_info(encoded.content) == info()


def test_a_png_that_fits_stays_as_it_is() -> None:
    png = encode_png(scene(32), info())

    assert fit(png, limit_bytes=len(png)) == Encoded(content=png, media_type=MediaType.PNG)


def test_a_png_that_does_not_fit_is_encoded_anew() -> None:
    png = encode_png(scene(128), info())

    fitted = fit(png, limit_bytes=len(png) // 2)

    assert fitted is not None
    assert fitted.media_type is not MediaType.PNG
    assert len(fitted.content) <= len(png) // 2
    assert read_info(fitted.content) == info()


# -------------------------------------------------------------------------------- grids


def test_grids_are_wide_rather_than_high_and_leave_few_cells_empty() -> None:
    assert [grid_shape(count) for count in range(1, 17)] == [
        (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (2, 3), (2, 4), (2, 4),
        (3, 3), (3, 4), (3, 4), (3, 4), (3, 5), (3, 5), (3, 5), (4, 4),
    ]  # fmt: skip


def test_pictures_lie_in_reading_order_with_a_gutter_between() -> None:
    grid = draw_grid([square(value, 256) for value in (10, 20, 30, 40)])

    assert grid.shape == (520, 520, 3)
    assert grid[0, 0, 0] == 10
    assert grid[255, 519, 0] == 20
    assert grid[264, 255, 0] == 30
    assert grid[519, 264, 0] == 40
    assert (grid[256:264] == 255).all()
    assert (grid[:, 256:264] == 255).all()


def test_a_short_last_row_is_centred() -> None:
    grid = draw_grid([square(10, 256)] * 5)

    last_row = grid[-1, :, 0]
    assert (last_row[:132] == 255).all()
    assert last_row[132] == 10
    assert last_row[132 + 264 + 255] == 10
    assert (last_row[132 + 264 + 256 :] == 255).all()


@pytest.mark.parametrize(
    ("side_px", "cell_px"), [(16, 256), (64, 256), (96, 288), (255, 510), (256, 256), (300, 300)]
)
def test_small_pictures_are_enlarged_by_a_whole_factor(side_px: int, cell_px: int) -> None:
    assert draw_grid([square(90, side_px)]).shape == (cell_px, cell_px, 3)


@pytest.mark.parametrize("count", [0, 17])
def test_a_grid_of_none_or_too_many_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"a grid holds 1 to 16 pictures, not {count}"):
        draw_grid([square(10, 8)] * count)


def test_pictures_of_unequal_size_are_refused_with_their_sizes() -> None:
    pictures = [square(10, 256), np.zeros((128, 256, 3), np.uint8)]

    with pytest.raises(ValueError, match="not 256 by 128 and 256 by 256 pixels"):
        draw_grid(pictures)


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 16),
    height=st.integers(8, 300),
    width=st.integers(8, 300),
    max_side_px=st.integers(200, 800),
)
def test_a_grid_within_a_size_fills_it_and_never_exceeds_it(
    count: int, height: int, width: int, max_side_px: int
) -> None:
    pictures = [np.full((height, width, 3), 90, np.uint8)] * count
    rows, columns = grid_shape(count)

    grid = draw_grid(pictures, max_side_px=max_side_px)

    assert max(grid.shape) <= max_side_px
    if grid.shape != draw_grid(pictures).shape:  # made smaller, but for less than a pixel a cell
        assert max(grid.shape) > max_side_px - max(rows, columns) - 1
    cell_px = (grid.shape[1] - (columns - 1) * GUTTER_PX) // columns
    assert (grid[0, :cell_px] == 90).all()
    assert (grid[0, cell_px : cell_px + GUTTER_PX] == 255).all()


def test_a_grid_that_cannot_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="the grid does not fit into 18 pixels"):
        draw_grid([square(10, 256)] * 9, max_side_px=18)
