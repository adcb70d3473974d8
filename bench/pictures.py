"""The other sides of pictures.cpp and loader.cpp.

pictures.py make FOLDER COUNT WIDTH HEIGHT       JPEGs of quality 90: smooth shapes and 1/f noise
pictures.py tar FOLDER TAR COPIES                a webdataset of them
pictures.py pil|torchvision|decode FOLDER SIZE SECONDS  pictures a second of the fastest pass, one core;
                                                 decode: torchvision's decoder alone
pictures.py crops FOLDER SIZE DUMP               largest difference of PIL's view from DUMP's pixels
pictures.py loader TAR SIZE BATCH SECONDS WORKERS
"""

import io
import json
import pathlib
import resource
import sys
import tarfile
import time

import numpy
import torch
from PIL import Image


def files_of(folder):
    return sorted(pathlib.Path(folder).iterdir())


def make(folder, count, width, height):
    draw = numpy.random.default_rng(1)
    rows, columns = numpy.fft.fftfreq(height)[:, None], numpy.fft.rfftfreq(width)[None]
    falloff = 1 / numpy.maximum(numpy.hypot(rows, columns), 1 / width)
    for number in range(count):
        planes = []
        for _ in range(3):
            phase = numpy.exp(2j * numpy.pi * draw.random((height, width // 2 + 1)))
            noise = numpy.fft.irfft2(falloff * phase, s=(height, width))
            planes.append(128 + 45 * noise / noise.std())
        picture = numpy.clip(numpy.stack(planes, -1), 0, 255).astype(numpy.uint8)
        Image.fromarray(picture).save(pathlib.Path(folder) / ("%04d.jpg" % number), quality=90)


def make_tar(folder, tar, copies):
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as out:
        for copy in range(copies):
            for path in files_of(folder):
                for name, data in ((path.name, path.read_bytes()), (path.stem + ".txt", b"a picture")):
                    info = tarfile.TarInfo("%d%s" % (copy, name))
                    info.size = len(data)
                    out.addfile(info, io.BytesIO(data))


def pil_view(data, size):
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = picture.size
    short = min(width, height)
    picture = picture.resize((size * width // short, size * height // short), Image.Resampling.BICUBIC)
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    return picture.crop((left, top, left + size, top + size))


def pil(size):
    from torchvision.transforms import functional
    return lambda data: functional.pil_to_tensor(pil_view(data, size))


def torchvision(size):
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.v2 import functional

    def view(data):
        picture = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
        picture = functional.resize(picture, [size], functional.InterpolationMode.BICUBIC, antialias=True)
        return functional.center_crop(picture, [size, size])
    return view


def decode(_):
    from torchvision.io import ImageReadMode, decode_jpeg
    return lambda data: decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)


def fastest(view, folder, seconds):
    torch.set_num_threads(1)
    data = [path.read_bytes() for path in files_of(folder)]
    best, begin = 1e30, time.perf_counter()
    while best > 1e29 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for one in data:
            view(one)
        best = min(best, time.perf_counter() - start)
    return {"per_second": len(data) / best}


def crops(folder, size, dump):
    ours = numpy.fromfile(dump, numpy.uint8).reshape(-1, size, size, 3).astype(int)
    theirs = [numpy.asarray(pil_view(path.read_bytes(), size)) for path in files_of(folder)[:len(ours)]]
    return {"largest": int(numpy.abs(ours - numpy.stack(theirs)).max())}


def loader(tar, size, batch, seconds, workers):
    import webdataset
    from torchvision.transforms import InterpolationMode, v2
    torch.set_num_threads(1)
    crop = v2.Compose([v2.RandomResizedCrop(size, (0.5, 1), interpolation=InterpolationMode.BICUBIC),
                       v2.RandomHorizontalFlip()])
    to_tensor = v2.PILToTensor()
    dataset = (webdataset.WebDataset(tar, shardshuffle=False, empty_check=False).repeat().shuffle(1000, initial=100)
               .decode("pil").to_tuple("jpg", "txt")
               .map_tuple(lambda picture: to_tensor(crop(picture)), lambda text: text)
               .batched(batch))
    def cpu():
        used = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            used += usage.ru_utime + usage.ru_stime
        return used
    made = webdataset.WebLoader(dataset, batch_size=None, num_workers=workers)
    batches = iter(made)
    next(batches)
    start, pictures = time.perf_counter(), 0
    before = cpu()
    while time.perf_counter() - start < seconds:
        pictures += len(next(batches)[0])
    took = time.perf_counter() - start
    # Workers' CPU time is known once they have ended; their start, a second or two, counts as well.
    del batches, made
    return {"pictures": pictures, "seconds": took, "cpu_seconds": cpu() - before}


def main():
    verb, *rest = sys.argv[1:]
    if verb == "make":
        return make(rest[0], *map(int, rest[1:]))
    if verb == "tar":
        return make_tar(rest[0], rest[1], int(rest[2]))
    if verb in ("pil", "torchvision", "decode"):
        view = {"pil": pil, "torchvision": torchvision, "decode": decode}[verb](int(rest[1]))
        print(json.dumps(fastest(view, rest[0], float(rest[2]))))
    elif verb == "crops":
        print(json.dumps(crops(rest[0], int(rest[1]), rest[2])))
    elif verb == "loader":
        print(json.dumps(loader(rest[0], int(rest[1]), int(rest[2]), float(rest[3]), int(rest[4]))))


main()
