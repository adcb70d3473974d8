#!/usr/bin/env python3
"""Makes the fixtures of tests/vision: small encoded pictures, and what Pillow and the Hugging Face
CLIP processor make of them.

  python tests/reference/vision.py tests/reference/vision

NAME.jpg, NAME.png   a picture in one encoding; NAME.ppm (JPEG only) is what convert("RGB") gives
view_NAME_in.ppm     a picture, and view_NAME_FILTER.ppm what CLIPImageProcessorPil gives without
                     rescaling and normalising
source.ppm           what is resized
expected.txt         lines of NAME WIDTH HEIGHT HASH: the exact pixels of every NAME.png after
                     convert("RGB"), and of source.ppm after Image.resize
Made with Pillow 13.0.0 (libjpeg-turbo 3.2.0) and transformers 5.17.0; torch is not needed.
"""
import pathlib
import random
import struct
import sys
import zlib

sys.modules["torch"] = None  # the processor of the PIL backend does without
sys.modules["torchvision"] = None
import pixel_hash
from PIL import Image  # noqa: E402

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(5)


expected = []


def expect(name, image):
    expected.append(pixel_hash.line_of(name, image))


def save_ppm(name, image):
    assert image.mode == "RGB"
    (out / f"{name}.ppm").write_bytes(b"P6\n%d %d\n255\n" % image.size + image.tobytes())


def picture(width, height):
    """Slopes, an edge and some noise in three channels."""
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            edge = 90 if (x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 3) ** 2 else 0
            for c, slope in enumerate(((5, 1), (1, 6), (-4, 3))):
                value = 60 + 50 * c + slope[0] * x + slope[1] * y + edge * (1 - c) + rng.randrange(24)
                pixels.append(max(0, min(255, value)))
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def keep(name):
    """What Pillow reads from the file that was just written."""
    if (out / f"{name}.jpg").exists():
        with Image.open(out / f"{name}.jpg") as image:
            save_ppm(name, image.convert("RGB"))
    else:
        with Image.open(out / f"{name}.png") as image:
            expect(name, image.convert("RGB"))


# --- JPEG
base = picture(29, 21)
for name, options in {
    "jpeg_420": {"quality": 85},
    "jpeg_422": {"quality": 80, "subsampling": 1},
    "jpeg_444": {"quality": 95, "subsampling": 0},
    "jpeg_progressive": {"quality": 75, "progressive": True},
    "jpeg_restart": {"quality": 75, "restart_marker_rows": 1},
    "jpeg_optimised": {"quality": 30, "optimize": True},
}.items():
    base.save(out / f"{name}.jpg", **options)
    keep(name)
base.convert("L").save(out / "jpeg_gray.jpg", quality=85)
keep("jpeg_gray")
base.convert("CMYK").save(out / "jpeg_cmyk.jpg", quality=90)
keep("jpeg_cmyk")
exif = Image.Exif()
exif[0x0112] = 6  # turned by 90 degrees: left alone
base.save(out / "jpeg_turned.jpg", quality=85, exif=exif)
keep("jpeg_turned")


# --- PNG; written here because Pillow writes neither interlaced nor 16-bit colour nor few bits
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(name, width, height, depth, colour, sample, interlaced=False, extra=b""):
    """sample(x, y) gives the channels of a pixel, each below 2**depth."""
    def rows(xs, ys):
        data = bytearray()
        for y in ys:
            bits = "".join(f"{value:0{depth}b}" for x in xs for value in sample(x, y))
            bits += "0" * (-len(bits) % 8)
            data.append(0)  # no filter
            data += bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        return bytes(data)

    if interlaced:
        data = b""
        for x0, y0, dx, dy in ADAM7:
            xs, ys = range(x0, width, dx), range(y0, height, dy)
            if xs and ys:
                data += rows(xs, ys)
    else:
        data = rows(range(width), range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    (out / f"{name}.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data, 9))
        + chunk(b"IEND", b""))
    keep(name)


W, H = 19, 13
noise = [[rng.randrange(1 << 16) for _ in range(4 * W)] for _ in range(H)]


def channels(count, depth):
    return lambda x, y: [noise[y][4 * x + c] >> (16 - depth) for c in range(count)]


for depth in (1, 2, 4, 8, 16):
    png(f"png_gray{depth}", W, H, depth, 0, channels(1, depth))
for depth in (8, 16):
    png(f"png_rgb{depth}", W, H, depth, 2, channels(3, depth))
    png(f"png_gray_alpha{depth}", W, H, depth, 4, channels(2, depth))
    png(f"png_rgba{depth}", W, H, depth, 6, channels(4, depth))
palette = bytes(rng.randrange(256) for _ in range(3 * 256))
for depth in (1, 2, 4, 8):
    png(f"png_palette{depth}", W, H, depth, 3, channels(1, depth),
        extra=chunk(b"PLTE", palette[:3 << depth]))
clear = chunk(b"tRNS", bytes(rng.randrange(256) for _ in range(16)))
png("png_palette_alpha", W, H, 4, 3, channels(1, 4), extra=chunk(b"PLTE", palette[:48]) + clear)
png("png_gray_key", W, H, 8, 0, channels(1, 3), extra=chunk(b"tRNS", b"\0\3"))
png("png_rgb_key", W, H, 8, 2, channels(3, 2), extra=chunk(b"tRNS", b"\0\1\0\1\0\1"))
png("png_interlaced", W, H, 8, 2, channels(3, 8), interlaced=True)
png("png_interlaced_gray2", W, H, 2, 0, channels(1, 2), interlaced=True)
png("png_interlaced_small", 3, 1, 8, 6, channels(4, 8), interlaced=True)
png("png_gamma", W, H, 8, 2, channels(3, 8), extra=chunk(b"gAMA", struct.pack(">I", 100000)))
base.save(out / "png_filtered.png", optimize=True)  # with the filters that a real encoder chooses
keep("png_filtered")

# --- resize: NAME is resize_FILTER_WIDTHxHEIGHT[_window]
source = picture(41, 30)
save_ppm("source", source)
filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
for name, method in filters.items():
    for width, height in ((17, 12), (41, 12), (17, 30), (58, 37), (3, 70), (1, 1), (100, 9)):
        # In two calls: Pillow 13 takes the rows first where the height shrinks much more than the
        # width, which rounds some pixels the other way; ours is always the older order.
        across = source.resize((width, source.height), method)
        expect(f"resize_{name}_{width}x{height}", across.resize((width, height), method))
    for i, box in enumerate(((3, 4, 33, 27), (0.5, 1.25, 40.5, 29.75), (10, 10, 11, 11))):
        expect(f"resize_{name}_20x18_{i}", source.resize((20, 18), method, box=box))

# --- the evaluation view
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # noqa: E402

for name, (width, height) in {"wide": (33, 18), "tall": (17, 27), "square": (20, 20), "up": (6, 8),
                              "exact": (16, 16), "odd": (23, 17)}.items():
    image = picture(width, height)
    save_ppm(f"view_{name}_in", image)
    for filter_name, method in filters.items():
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, resample=method,
            do_rescale=False, do_normalize=False)
        pixels = processor(image, return_tensors="np")["pixel_values"][0]  # [3, 16, 16]
        save_ppm(f"view_{name}_{filter_name}", Image.fromarray(pixels.transpose(1, 2, 0).astype("uint8")))

(out / "expected.txt").write_text("".join(expected))
