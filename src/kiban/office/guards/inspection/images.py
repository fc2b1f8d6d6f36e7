"""Images: their size is read from the header, no pixel is decoded."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from kiban.office.guards.inspection.report import AttachmentLimits, Findings, Stop

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
_FORMATS = ("PNG", "JPEG", "GIF", "BMP")
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"

# Pillow would warn, or raise, at limits of its own.
Image.MAX_IMAGE_PIXELS = None


def check_size(name: str, data: bytes, limits: AttachmentLimits, findings: Findings) -> None:
    """Find more pixels than are allowed.

    Args:
        name: of the picture inside a file; empty where it is the file.

    Raises:
        Stop: the header cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            frames = getattr(image, "n_frames", 1) if image.format == "PNG" else 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        raise Stop("damaged", f"{name}: {error}" if name else str(error)) from None
    if width * height * frames > limits.max_image_pixels:
        size = f"{width:,} × {height:,}"
        findings.add("too_many_pixels", f"{name}: {size}" if name else size)


def check_image(name: str, data: bytes, limits: AttachmentLimits, findings: Findings) -> None:
    """A picture attached on its own: its size, and that it ends where the picture ends.

    Raises:
        Stop: damaged, or something after its end.
    """
    check_size(name, data, limits, findings)
    if data.startswith(PNG):
        end = data.rfind(_IEND)
        if end < 0:
            raise Stop("damaged", "the picture is cut off")
        if end + len(_IEND) != len(data):
            raise Stop("two_formats", "data after the picture's end")
    # Phones put further pictures after a JPEG's end, so only other formats there are refused, by the caller.
    elif b"\xff\xd9" not in data:
        raise Stop("damaged", "the picture is cut off")
