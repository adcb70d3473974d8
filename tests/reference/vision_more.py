#!/usr/bin/env python3
"""Makes fixtures of tests/vision: WebP pictures and turned pictures, and what Pillow makes of them.

  python tests/reference/vision_more.py tests/reference/vision/more

webp_*.webp          pictures in one encoding; more.txt has lines of NAME WIDTH HEIGHT HASH: the exact
                     pixels after convert("RGB")
turned_N.jpg, turned_*.png, turned_*.webp   pictures with EXIF's orientation N; more.txt has the
                     pixels after ImageOps.exif_transpose(...).convert("RGB"); of JPEG, whose decoders
                     may round differently, only the size is exact and the four corners are told apart
Made with Pillow 13.0.0.
"""
import pathlib
import random
import struct
import sys
import zlib

import pixel_hash
from PIL import Image, ImageOps

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(7)
expected = []


def expect(name, image):
    expected.append(pixel_hash.line_of(name, image))


def picture(width, height, channels=3):
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            for c, slope in enumerate(((5, 1), (1, 6), (-4, 3), (7, 2))[:channels]):
                value = 60 + 30 * c + slope[0] * x + slope[1] * y + rng.randrange(24)
                pixels.append(max(0, min(255, value)))
    return Image.frombytes("RGB" if channels == 3 else "RGBA", (width, height), bytes(pixels))


def keep(path, turned=False):
    with Image.open(path) as image:
        expect(path.stem, (ImageOps.exif_transpose(image) if turned else image).convert("RGB"))


base, clear = picture(29, 21), picture(23, 18, 4)
for name, image, options in (
        ("webp_lossy", base, {"quality": 80}),
        ("webp_lossless", base, {"lossless": True}),
        ("webp_alpha", clear, {"quality": 70}),
        ("webp_alpha_lossless", clear, {"lossless": True, "exact": True}),
        ("webp_gray", base.convert("L").convert("RGB"), {"quality": 60})):
    image.save(out / f"{name}.webp", **options)
    keep(out / f"{name}.webp")
base.save(out / "webp_animated.webp", save_all=True, append_images=[picture(29, 21)], duration=100,
          lossless=True)
keep(out / "webp_animated.webp")


def exif(orientation):
    data = Image.Exif()
    data[0x0110] = "a camera"
    data[0x0112] = orientation
    return data


for orientation in range(1, 9):
    path = out / f"turned_{orientation}.png"
    picture(7, 5).save(path, exif=exif(orientation), optimize=True)
    keep(path, turned=True)
picture(9, 6).save(out / "turned_webp.webp", lossless=True, exif=exif(8))
keep(out / "turned_webp.webp", turned=True)


def big_endian(orientation):
    """The same tag as cameras of the other byte order write it."""
    return (b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) +
            b"\0\0\0\0")


corners = Image.new("RGB", (32, 16), (255, 0, 0))
corners.paste((0, 255, 0), (16, 0, 32, 16))
corners.save(out / "turned_jpeg.jpg", quality=95, subsampling=0, exif=big_endian(6))
with Image.open(out / "turned_jpeg.jpg") as image:
    assert ImageOps.exif_transpose(image).size == (16, 32)
(out / "more.txt").write_text("".join(expected))
