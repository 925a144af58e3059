"""A contender of tools/bench: reads, decodes, crops, resizes and mirrors the images of a list with another library.

    peers.py [--check] LIST CONTENDER u8|float THREADS SIDE

For every line on its standard input it goes through the list once, in batches of 256, and answers with a line of JSON. With --check it
goes through the first image only, to find out whether the contender runs here; ffcv, which would be compiled for a minute, is only loaded.
Contenders: dataloader (PyTorch's DataLoader with torchvision on Pillow images), torchvision_io (torchvision.io and v2 on
tensors, threads of this process), dali, spdl, ffcv (from a file of its own with the same JPEGs), dino (2 large and 8 small random crops of each picture with DINO's colours, on
Pillow images, by a DataLoader; the list's boxes are not read). Each is set up the way its own documentation recommends for this work.
"""
import itertools
import json
import random
import resource
import sys
import tempfile
import time

BATCH = 256
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_list(path):
    items = []
    for line in open(path):
        name, *numbers = line.rstrip("\n").split("\t")
        x, y, width, height, flip = map(int, numbers)
        items.append((name, x, y, width, height, flip))
    return items


class PillowImages:
    def __init__(self, items, kind, side):
        self.items, self.kind, self.side = items, kind, side

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        from PIL import Image
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms import functional as F

        name, x, y, width, height, flip = self.items[index]
        with open(name, "rb") as file:
            image = Image.open(file).convert("RGB")
        image = F.resized_crop(image, y, x, height, width, [self.side, self.side], InterpolationMode.BICUBIC)
        if flip:
            image = F.hflip(image)
        return F.pil_to_tensor(image) if self.kind == "u8" else F.normalize(F.to_tensor(image), MEAN, STD)


def dataloader(items, kind, threads, side):
    import torch

    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(PillowImages(items, kind, side), batch_size=BATCH, num_workers=threads, persistent_workers=True)

    def run():
        return sum(len(batch) for batch in loader)

    return run


class MultiCrop:
    """DINO's DataAugmentationDINO: the same transforms in the same order, on a picture that is decoded once."""

    def __init__(self, items, side):
        from PIL import ImageFilter, ImageOps
        from torchvision import transforms as T
        from torchvision.transforms import InterpolationMode

        def blur(image):
            return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2)))

        def chain(size, scale, blurred, solarized):
            return T.Compose([
                T.RandomResizedCrop(size, scale=scale, interpolation=InterpolationMode.BICUBIC), T.RandomHorizontalFlip(0.5),
                T.RandomApply([T.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8), T.RandomGrayscale(p=0.2), T.RandomApply([T.Lambda(blur)], p=blurred),
                *([T.RandomApply([T.Lambda(ImageOps.solarize)], p=solarized)] if solarized else []), T.PILToTensor()])

        self.items = items
        self.crops = [chain(side, (0.4, 1), 1, 0), chain(side, (0.4, 1), 0.1, 0.2), *[chain(96, (0.05, 0.4), 0.5, 0)] * 8]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        from PIL import Image

        with open(self.items[index][0], "rb") as file:
            image = Image.open(file).convert("RGB")
        return [crop(image) for crop in self.crops]


def dino(items, kind, threads, side):
    import torch

    torch.set_num_threads(1)
    context = "fork"  # its functions can't be pickled
    loader = torch.utils.data.DataLoader(MultiCrop(items, side), batch_size=64, num_workers=threads, persistent_workers=True, multiprocessing_context=context)

    def run():
        return sum(len(crops[0]) for crops in loader)

    return run


def torchvision_io(items, kind, threads, side):
    import concurrent.futures

    import torch
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as F

    torch.set_num_threads(1)
    pool = concurrent.futures.ThreadPoolExecutor(threads)

    def load(item):
        name, x, y, width, height, flip = item
        image = decode_jpeg(read_file(name), ImageReadMode.RGB)
        image = F.resized_crop(image, y, x, height, width, [side, side], InterpolationMode.BICUBIC, antialias=True)
        if flip:
            image = F.horizontal_flip(image)
        return image if kind == "u8" else F.normalize(F.to_dtype(image, torch.float32, scale=True), MEAN, STD)

    def run():
        done, waiting = 0, iter(items)
        for chunk in iter(lambda: list(itertools.islice(waiting, BATCH)), []):
            images = [load(item) for item in chunk] if threads == 1 else list(pool.map(load, chunk))
            done += len(torch.stack(images))
        return done

    return run


def dali(items, kind, threads, side):
    import numpy as np
    from nvidia.dali import fn, pipeline_def, types

    def batches():
        waiting = iter(items)
        for chunk in iter(lambda: list(itertools.islice(waiting, BATCH)), []):
            yield ([np.fromfile(name, np.uint8) for name, *_ in chunk],
                   [np.array([y, x], np.int32) for _, x, y, *_ in chunk],
                   [np.array([height, width], np.int32) for *_, width, height, _ in chunk],
                   [np.array(flip, np.int32) for *_, flip in chunk])

    @pipeline_def(batch_size=BATCH, num_threads=threads, device_id=None, prefetch_queue_depth=2)
    def definition():
        files, start, shape, flip = fn.external_source(batches(), num_outputs=4)
        images = fn.decoders.image_slice(files, start, shape, axis_names="HW", device="cpu", output_type=types.RGB)
        images = fn.resize(images, size=[side, side], interp_type=types.INTERP_CUBIC, antialias=True, device="cpu")
        if kind == "u8":
            return fn.flip(images, horizontal=flip)
        return fn.crop_mirror_normalize(images, dtype=types.FLOAT, output_layout="CHW", mirror=flip,
                                        mean=[255 * m for m in MEAN], std=[255 * s for s in STD])

    def run():
        # A new pipeline for each pass: a lasting one would read ahead while the others are measured.
        pipe = definition()
        pipe.build()
        begin, done = time.perf_counter(), 0
        while done < len(items):
            done += len(pipe.run()[0])
        return done, begin

    return run


def spdl(items, kind, threads, side):
    import spdl.io
    from spdl.pipeline import PipelineBuilder

    import numpy as np

    try:
        spdl.io.demux_image(items[0][0])
    except RuntimeError as error:
        sys.exit(f"it finds no FFmpeg, whose libraries it needs (apt-get install ffmpeg): {error}" if "libav" in str(error) else str(error))

    def load(item):
        name, x, y, width, height, flip = item
        steps = f"crop={width}:{height}:{x}:{y}:exact=1,scale={side}:{side}:flags=bicubic{',hflip' if flip else ''},format=pix_fmts=rgb24"
        return spdl.io.decode_packets(spdl.io.demux_image(name), filter_desc=steps)

    def stack(frames):
        batch = spdl.io.to_numpy(spdl.io.convert_frames(frames))
        if kind == "u8":
            return batch
        return ((batch.transpose(0, 3, 1, 2) / np.float32(255) - np.array(MEAN, np.float32)[:, None, None])
                / np.array(STD, np.float32)[:, None, None]).astype(np.float32)

    def run():
        builder = PipelineBuilder().add_source(items).pipe(load, concurrency=threads, output_order="input").aggregate(BATCH).pipe(stack).add_sink(2)
        pipeline = builder.build(num_threads=threads)
        done = 0
        with pipeline.auto_stop():
            for batch in pipeline:
                done += len(batch)
        return done

    return run


def ffcv(items, kind, threads, side):
    import numpy as np
    from ffcv.fields.rgb_image import IMAGE_MODES, RandomResizedCropRGBImageDecoder, RGBImageField
    from ffcv.libffcv import imdecode, resize_crop
    from ffcv.loader import Loader, OrderOption
    from ffcv.pipeline.compiler import Compiler
    from ffcv.transforms import NormalizeImage, ToTensor, ToTorchImage
    from ffcv.writer import DatasetWriter
    from PIL import Image

    boxes = np.array([item[1:] for item in items], np.int64)

    class Rows:
        """A row for each line of the list, since ffcv knows a sample only by its row."""

        def __len__(self):
            return len(items)

        def __getitem__(self, index):
            return (items[index][0],)

    class WholeFile(RGBImageField):
        """Takes the JPEG file's bytes as they are, where ffcv would encode the picture anew."""

        def encode(self, destination, name, malloc):
            with Image.open(name) as image:
                destination["width"], destination["height"] = image.size
            data = np.fromfile(name, np.uint8)
            destination["mode"] = IMAGE_MODES["jpg"]
            destination["data_ptr"], storage = malloc(len(data))
            storage[:] = data

    class ListedCrop(RandomResizedCropRGBImageDecoder):
        """ffcv's own decoding and resizing, with the box and the flip of the row."""

        def generate_code(self):
            read, decode, resize, rows = self.memory_read, Compiler.compile(imdecode), Compiler.compile(resize_crop), Compiler.get_iterator()

            def crop(indices, memory, metadata, state):
                out, pixels = memory
                for i in rows(len(indices)):
                    row = metadata[indices[i]]
                    height, width = np.uint32(row["height"]), np.uint32(row["width"])
                    decode(read(row["data_ptr"], state), pixels[i], height, width, height, width, 0, 0, 1, 1, False, False)
                    image = pixels[i][:3 * height * width].reshape(height, width, 3)
                    x, y, w, h, flip = boxes[indices[i]]
                    resize(image, y, y + h, x, x + w, out[i])
                    if flip:
                        out[i] = out[i][:, ::-1].copy()
                return out[:len(indices)]

            crop.is_parallel = True
            return crop

    folder = tempfile.TemporaryDirectory(prefix="flowrun-ffcv-")
    path = f"{folder.name}/images.beton"
    DatasetWriter(path, {"image": WholeFile()}, num_workers=1).from_indexed_dataset(Rows())
    floats = [NormalizeImage(255 * np.array(MEAN), 255 * np.array(STD), np.float32), ToTensor(), ToTorchImage()] if kind == "float" else []
    loader = Loader(path, batch_size=BATCH, num_workers=threads, order=OrderOption.SEQUENTIAL, os_cache=True, drop_last=False,
                    custom_fields={"image": WholeFile}, pipelines={"image": [ListedCrop((side, side)), *floats]})

    def run():
        folder  # lives as long as its reader
        return sum(len(images) for images, in loader)

    return run


CONTENDERS = {"dataloader": dataloader, "torchvision_io": torchvision_io, "dali": dali, "spdl": spdl, "ffcv": ffcv, "dino": dino}


def main():
    check = sys.argv[1] == "--check"
    path, contender, kind, threads, side = sys.argv[1 + check:]
    items = read_list(path)[:1 if check else None]
    try:
        run = CONTENDERS[contender](items, kind, int(threads), int(side))
    except ImportError as error:
        sys.exit(f"{error}: tools/setup --bench installs it, or says why it can't")
    if check and contender == "ffcv":
        run = lambda: 1
    for _ in sys.stdin:
        begin = time.perf_counter()
        images = run()
        if isinstance(images, tuple):
            images, begin = images
        seconds = time.perf_counter() - begin
        if images < len(items):
            sys.exit(f"{contender} gave {images} of {len(items)} images; what it printed says why")
        peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        print(json.dumps({"seconds": seconds, "images": images, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
