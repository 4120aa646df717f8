"""What a picture file says beside its pixels: PNG text, XMP and EXIF, written and read.

Three things stand in every file: a description for people, the name of this software and
the mark "made by a trained algorithm", by which platforms recognise a machine's pictures. A
fourth, the record, is for ourselves: one line of ASCII that this module does not look into.

========  =========================================  =============================
kind      description, software, mark                record
========  =========================================  =============================
PNG       text ``Description`` and ``Software``;     text ``imagine-bot``
          XMP
WebP,     EXIF ImageDescription and Software;        EXIF UserComment
JPEG      XMP
========  =========================================  =============================
"""

from __future__ import annotations

import struct
from typing import Final
from xml.sax.saxutils import escape

from PIL import ExifTags, Image, PngImagePlugin

SOFTWARE: Final = "imagine-bot"

UNREADABLE: Final = (
    OSError,
    SyntaxError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    OverflowError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # where warnings are errors
)
"""What Pillow raises over a file that is no picture, or a damaged one."""

_PNG_RECORD = "imagine-bot"
# Source: EXIF 2.32, 4.6.5 "UserComment": eight bytes name the code of the text that follows.
_ASCII = b"ASCII\0\0\0"

# Source: IPTC Photo Metadata Standard 2023.1, "Digital Source Type"; XMP Specification
# Part 1 (the packet) and Part 3 (1.1.5: an uncompressed iTXt chunk with this keyword in PNG).
_PNG_XMP = "XML:com.adobe.xmp"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    " Iptc4xmpExt:DigitalSourceType="
    '"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"'
    f' xmp:CreatorTool="{SOFTWARE}">'
    '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">%s</rdf:li></rdf:Alt></dc:description>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)


def png_chunks(description: str, record: str) -> PngImagePlugin.PngInfo:
    """Return the text chunks of a PNG."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("Description", _encodable(description))
    chunks.add_text("Software", SOFTWARE)
    chunks.add_text(_PNG_RECORD, record)
    chunks.add_itxt(_PNG_XMP, xmp(description).decode())
    return chunks


def xmp(description: str) -> bytes:
    """Return the XMP packet of any kind of file."""
    return (_XMP % escape(_printable(description))).encode()


def exif(description: str, record: str) -> Image.Exif:
    """Return the EXIF of a WebP or JPEG file, which holds at most 64 KB."""
    block = Image.Exif()
    # Bytes, because Pillow would turn all but ASCII into question marks. EXIF 2 asks for
    # ASCII here, but what readers expect by now is UTF-8.
    block[ExifTags.Base.ImageDescription] = _printable(description).encode()
    block[ExifTags.Base.Software] = SOFTWARE
    block.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = _ASCII + record.encode("ascii")
    return block


def read_record(image: Image.Image) -> str:
    """Return the record of an open picture.

    Raises:
        Exception: One of ``UNREADABLE``: there is none.
    """
    if image.format == "PNG":
        return str(image.info[_PNG_RECORD])
    comment = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
    if not isinstance(comment, bytes) or not comment.startswith(_ASCII):
        raise ValueError("this comment is not ours")
    return comment.removeprefix(_ASCII).decode("ascii")


def _encodable(text: str) -> str:
    """Put a question mark for halves of characters, which no UTF-8 holds."""
    return text.encode(errors="replace").decode()


def _printable(text: str) -> str:
    """Put spaces for what XML may not hold and what would end a text of EXIF.

    Source: XML 1.0, 2.2 (Char).
    """
    return "".join(
        " " if char < " " or char in "\x7f\ufffe\uffff" else char for char in _encodable(text)
    )
