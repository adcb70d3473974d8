#!/usr/bin/env python3
"""Makes the fixtures of tests/vision/rand_augment_test.cpp.

  python tests/reference/rand_augment.py LAVIS_RANDAUGMENT.py tests/reference/vision/more

The first argument is processors/randaugment.py of LAVIS as published (it is not kept here). Written:
  augment_in.ppm      what is augmented
  augment_lavis.ppm   what the original's functions make of it, one below the other
  augment_vilt.ppm    the same of Pillow's functions with the parameters of ViLT's list
  augment.txt         lines of VARIANT OP MAGNITUDE NEGATIVE: the pictures in their order
Made with opencv-python-headless 4.6.0.66, numpy 1.26.4 and Pillow 13.0.0.
"""
import importlib.util
import math
import pathlib
import random
import sys
import types

import numpy
from PIL import Image, ImageEnhance, ImageOps

sys.modules["torch"] = types.ModuleType("torch")  # imported for videos only
specification = importlib.util.spec_from_file_location("original", sys.argv[1])
original = importlib.util.module_from_spec(specification)
specification.loader.exec_module(original)
out = pathlib.Path(sys.argv[2])
rng = random.Random(11)

WIDTH, HEIGHT = 27, 19
pixels = bytearray()
for y in range(HEIGHT):
    for x in range(WIDTH):
        edge = 70 if (x - 13) ** 2 + (y - 9) ** 2 < 40 else 0
        for c, slope in enumerate(((5, 2), (1, 6), (-4, 3))):
            pixels.append(max(0, min(255, 20 + 60 * c + slope[0] * x + slope[1] * y +
                                     edge * (1 - c) + rng.randrange(30))))
pixels[0:3] = bytes(3)  # a black pixel: without one, the original's AutoContrast overflows
source = Image.frombytes("RGB", (WIDTH, HEIGHT), bytes(pixels))


def save(name, images):
    data = b"".join(image.tobytes() for image in images)
    (out / name).write_bytes(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT * len(images)) + data)


lines = []


def lavis(op, magnitude, negative):
    # Of the two-sided operations Rotate turns back below 1/2, the others above.
    original.np.random.random = lambda *_: (0.1 if negative else 0.9) if op == "Rotate" else (
        0.9 if negative else 0.1)
    arguments = original.arg_dict[op](magnitude)
    return Image.fromarray(original.func_dict[op](numpy.array(source), *arguments))


def vilt(op, magnitude, negative):
    low, high = {"Rotate": (0, 30), "Posterize": (0, 4), "Solarize": (0, 256),
                 "SolarizeAdd": (0, 110), "ShearX": (0, .3), "ShearY": (0, .3),
                 "TranslateXabs": (0, 100), "TranslateYabs": (0, 100)}.get(op, (0.1, 1.9))
    value = float(magnitude) / 30 * float(high - low) + low
    turned = -value if negative else value
    affine = lambda *m: source.transform(source.size, Image.Transform.AFFINE, m)
    if op == "SolarizeAdd":
        more = numpy.clip(numpy.array(source).astype(int) + value, 0, 255).astype(numpy.uint8)
        return ImageOps.solarize(Image.fromarray(more), 128)
    return {
        "AutoContrast": lambda: ImageOps.autocontrast(source),
        "Equalize": lambda: ImageOps.equalize(source),
        "Rotate": lambda: source.rotate(turned),
        "Posterize": lambda: ImageOps.posterize(source, max(1, int(value))),
        "Solarize": lambda: ImageOps.solarize(source, value),
        "Color": lambda: ImageEnhance.Color(source).enhance(value),
        "Contrast": lambda: ImageEnhance.Contrast(source).enhance(value),
        "Brightness": lambda: ImageEnhance.Brightness(source).enhance(value),
        "Sharpness": lambda: ImageEnhance.Sharpness(source).enhance(value),
        "ShearX": lambda: affine(1, turned, 0, 0, 1, 0),
        "ShearY": lambda: affine(1, 0, 0, turned, 1, 0),
        "TranslateXabs": lambda: affine(1, 0, turned, 0, 1, 0),
        "TranslateYabs": lambda: affine(1, 0, 0, 0, 1, turned),
    }[op]()


def make(variant, function, ops, magnitudes):
    images = []
    for op in ops:
        for magnitude in magnitudes:
            for negative in (0, 1) if op.startswith(("Shear", "Trans", "Rotate")) else (0,):
                lines.append(f"{variant} {op} {magnitude} {negative}\n")
                images.append(function(op, magnitude, negative))
    save(f"augment_{variant}.ppm", images)


assert math.isclose(original.MAX_LEVEL, 10)
save("augment_in.ppm", [source])
make("lavis", lavis, list(original.func_dict), (5, 7, 9.5))
make("vilt", vilt, ["AutoContrast", "Equalize", "Rotate", "Posterize", "Solarize", "SolarizeAdd",
                    "Color", "Contrast", "Brightness", "Sharpness", "ShearX", "ShearY",
                    "TranslateXabs", "TranslateYabs"], (4, 9, 28))
(out / "augment.txt").write_text("".join(lines))
