from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from engine import uploads
from engine.api import InvalidRequestError
from engine.uploads import centre_square, decode_picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_PICTURE = "This file is no picture the bot can read: send a PNG, JPEG, WebP or GIF file."
DAMAGED = "This picture is damaged or cut short: save it again and send that."

# Outside of tests Pillow's warnings end nothing, so they must not end anything here.
in_earnest = pytest.mark.filterwarnings("ignore")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 24, height: int = 16) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def corners() -> Image.Image:
    """Red and green above, blue and white below; 24 px wide, 16 px high."""
    image = Image.new("RGB", (24, 16))
    for colour, place in ((RED, (0, 0)), (GREEN, (12, 0)), (BLUE, (0, 8)), (WHITE, (12, 8))):
        image.paste(colour, (*place, place[0] + 12, place[1] + 8))
    return image


def colour_at(pixels: NDArray[np.uint8], row: int, column: int) -> tuple[int, ...]:
    return tuple(pixels[row, column].tolist())


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        decode_picture(data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {})]
)
def test_a_picture_becomes_its_pixels(kind: str, options: dict[str, Any]) -> None:
    pixels = decode_picture(saved(corners(), kind, **options))

    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(corners()))


def test_a_jpeg_becomes_nearly_its_pixels() -> None:
    pixels = decode_picture(saved(corners(), "JPEG", quality=95, subsampling=0))

    assert np.abs(pixels.astype(int) - np.asarray(corners())).max() < 20


def test_what_is_transparent_becomes_white() -> None:
    see_through = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    see_through.putpixel((1, 0), (0, 0, 0, 0))
    half = Image.new("RGBA", (1, 1), (0, 0, 0, 128))

    assert decode_picture(saved(see_through)).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert decode_picture(saved(half)).tolist() == [[[127, 127, 127]]]


def test_a_palette_with_a_transparent_colour_is_read() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)

    pixels = decode_picture(saved(image, transparency=1))

    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_grey_with_transparency_is_read() -> None:
    assert decode_picture(saved(Image.new("LA", (1, 1), (0, 0)))).tolist() == [[[255, 255, 255]]]


def test_black_and_white_is_read() -> None:
    assert decode_picture(saved(Image.new("1", (1, 1), 1))).tolist() == [[[255, 255, 255]]]


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    image = Image.fromarray(np.array([[0, 0x80FF, 0xFFFF]], np.uint16))

    pixels = decode_picture(saved(image))

    assert pixels[0, :, 0].tolist() == [0, 0x80, 255]


def test_colours_of_print_become_those_of_a_screen() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))

    red, green, blue = colour_at(decode_picture(saved(cyan, "JPEG", quality=95)), 4, 4)

    assert red < 10
    assert min(green, blue) > 245


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})]
)
def test_of_an_animation_the_first_frame_is_taken(kind: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]

    pixels = decode_picture(
        saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
    )

    assert (pixels == RED).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_otherwise_gives_an_upright_picture(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    # EXIF 2.32, 4.6.4: where the row 0 and the column 0 of the file lie in what was seen.
    row_0, column_0 = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    seen = np.asarray(corners())
    held = seen.transpose(1, 0, 2) if row_0 in ("left", "right") else seen
    held = held[::-1] if row_0 in ("bottom", "right") else held
    held = held[:, ::-1] if column_0 in ("bottom", "right") else held

    pixels = decode_picture(saved(Image.fromarray(held), kind, exif=exif, quality=95))

    assert pixels.shape == seen.shape
    assert np.abs(pixels[2::12, 2::12].astype(int) - seen[2::12, 2::12]).max() < 40


@in_earnest
def test_a_camera_that_writes_nonsense_does_not_spoil_the_picture() -> None:
    pixels = decode_picture(saved(corners(), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))

    np.testing.assert_array_equal(pixels, np.asarray(corners()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"a letter to the bot",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        saved(photo(), "TIFF"),
        saved(photo(), "BMP"),
        saved(photo(), "ICO"),
    ],
)
def test_a_file_of_another_kind_is_refused(data: bytes) -> None:
    assert refusal(data) == NO_PICTURE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.75])
def test_a_picture_cut_short_is_refused(kind: str, share: float) -> None:
    data = saved(photo(), kind)

    assert refusal(data[: int(len(data) * share)]) == DAMAGED


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises more than it holds."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


@pytest.mark.parametrize(
    ("width", "height", "told"),
    [
        (10_001, 1, "10,001 by 1"),
        (1, 10_001, "1 by 10,001"),
        (5_001, 5_000, "5,001 by 5,000"),
        (10_000, 9_000, "far too many"),  # from here on Pillow itself warns
        (60_000, 60_000, "far too many"),
    ],
)
def test_a_picture_too_big_to_decode_is_refused_by_its_header(
    width: int, height: int, told: str
) -> None:
    assert refusal(png_that_claims(width, height)) == (
        f"This picture has {told} pixels; send one of at most 10,000 a side and 25 million in all."
    )


@in_earnest
def test_without_warnings_as_errors_the_header_is_still_looked_at() -> None:
    assert refusal(png_that_claims(10_000, 9_000)).startswith("This picture has 10,000 by 9,000")


def test_the_largest_that_is_allowed_is_no_reason_to_refuse() -> None:
    assert refusal(png_that_claims(5_000, 5_000)) == DAMAGED  # but its pixels are not there


def test_a_file_too_heavy_is_refused_unread() -> None:
    assert refusal(b"\0" * (uploads.MAX_FILE_BYTES + 1)) == (
        "This file has 20.0 MB; send a picture of 20 MB or less."
    )


def test_text_that_swells_when_it_is_unpacked_is_refused() -> None:
    swelling = zlib.compress(b"a" * 100_000_000)
    name = b"zTXt"
    content = b"Comment\0\0" + swelling
    chunk = struct.pack(">I", len(content)) + name + content
    chunk += struct.pack(">I", zlib.crc32(name + content))
    png = saved(photo())

    with pytest.raises(InvalidRequestError):
        decode_picture(png[:33] + chunk + png[33:])


TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6

SAMPLES = [
    saved(photo()),
    saved(photo().quantize(16), "PNG", transparency=3),
    saved(photo(), "JPEG", exif=TURNED),
    saved(photo(), "JPEG", progressive=True),
    saved(photo().convert("CMYK"), "JPEG"),
    saved(photo(), "WEBP", exif=TURNED),
    saved(photo(), "WEBP", lossless=True),
    saved(photo(), "WEBP", save_all=True, append_images=[corners()]),
    saved(photo(), "GIF", save_all=True, append_images=[corners()]),
    saved(photo(), "PNG", save_all=True, append_images=[corners()]),
]


def check_harmless(data: bytes) -> None:
    """It is refused with a sentence or read; nothing else may happen."""
    try:
        pixels = decode_picture(data)
    except InvalidRequestError as error:
        assert str(error).endswith(".")  # noqa: PT017 - or it is read
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


@in_earnest
@settings(deadline=None, max_examples=200)
@given(sample=st.sampled_from(SAMPLES), share=st.floats(0, 1))
def test_a_file_cut_anywhere_is_refused_or_whole(sample: bytes, share: float) -> None:
    whole = decode_picture(sample)
    try:
        pixels = decode_picture(sample[: int(share * len(sample))])
    except InvalidRequestError as error:
        assert str(error) in (NO_PICTURE, DAMAGED)  # noqa: PT017 - or it is whole
    else:
        np.testing.assert_array_equal(pixels, whole)


@in_earnest
@settings(deadline=None, max_examples=500)
@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.dictionaries(st.floats(0, 1), st.integers(0, 255), max_size=12),
    inserted=st.binary(max_size=8),
    place=st.floats(0, 1),
)
def test_a_damaged_file_is_refused_or_read(
    sample: bytes, changes: dict[float, int], inserted: bytes, place: float
) -> None:
    data = bytearray(sample)
    for where, value in changes.items():
        data[int(where * (len(data) - 1))] = value
    at = int(place * len(data))

    check_harmless(bytes(data[:at] + inserted + data[at:]))


MAGIC = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBPVP8 ", b"GIF89a"]


@in_earnest
@settings(deadline=None, max_examples=300)
@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=300))
def test_bytes_of_no_kind_are_refused_or_read(magic: bytes, rest: bytes) -> None:
    check_harmless(magic + rest)


def test_the_middle_of_a_wide_picture_is_cut_out() -> None:
    pixels = np.zeros((4, 10, 3), np.uint8)
    pixels[:, 3:7] = 200

    np.testing.assert_array_equal(centre_square(pixels, 4), np.full((4, 4, 3), 200, np.uint8))


def test_the_middle_of_a_high_picture_is_cut_out() -> None:
    pixels = np.zeros((10, 4, 3), np.uint8)
    pixels[3:7] = 200

    np.testing.assert_array_equal(centre_square(pixels, 4), np.full((4, 4, 3), 200, np.uint8))


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 60), width=st.integers(1, 60), side_px=st.integers(1, 90))
def test_a_square_has_the_side_that_was_asked_for(height: int, width: int, side_px: int) -> None:
    square = centre_square(np.full((height, width, 3), 130, np.uint8), side_px)

    assert square.shape == (side_px, side_px, 3)
    assert (square == 130).all()


def test_a_square_of_the_right_size_stays_as_it_is() -> None:
    pixels = np.asarray(photo(16, 16))

    np.testing.assert_array_equal(centre_square(pixels, 16), pixels)
