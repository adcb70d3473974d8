"""The hash by which tests/vision/support.h knows a picture's pixels."""


def line_of(name, image):
    """NAME WIDTH HEIGHT HASH: the pixels' 64-bit FNV-1a."""
    assert image.mode == "RGB"
    value = 0xCBF29CE484222325
    for byte in image.tobytes():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return f"{name} {image.width} {image.height} {value:016x}\n"
