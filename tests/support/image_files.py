"""Small pictures of every kind that data sets hold, written into the working folder: for the unit tests, and as seeds for
tools/fuzz."""
import random
import struct
import zlib

from PIL import Image

random.seed(1)
W, H = 45, 31


def noise(count, levels=256):
    return bytes(random.randrange(levels) for _ in range(count))


def smooth(mode, size=(W, H)):
    small = Image.frombytes(mode, (7, 5), noise(35 * len(Image.new(mode, (1, 1)).getbands())))
    return small.resize(size, Image.Resampling.BICUBIC)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(name, depth, colour, interlaced=False, chunks=(), idat=1000, width=W, height=H):
    """A PNG of noise by hand: all depths, filters and Adam7."""
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)) if interlaced else ((0, 0, 1, 1),)
    data = b""
    for x0, y0, dx, dy in passes:
        columns, rows = -(-(width - x0) // dx), -(-(height - y0) // dy)
        for row in range(rows if columns > 0 else 0):
            data += bytes([row % 5]) + noise((columns * bits + 7) // 8)
    packed = zlib.compress(data)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    if colour == 3:
        out += chunk(b"PLTE", noise(3 << depth))
    out += b"".join(chunk(*c) for c in chunks)
    for at in range(0, len(packed), idat):
        out += chunk(b"IDAT", packed[at : at + idat])
    open(name, "wb").write(out + chunk(b"IEND", b""))


def exif(orientation):
    block = Image.Exif()
    block[274] = orientation
    return block


# PNG: every depth and colour type, plain and interlaced; transparency; text and profiles that don't matter.
for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
    for depth in depths:
        raw_png(f"png-{colour}-{depth}.png", depth, colour)
        raw_png(f"png-{colour}-{depth}-interlaced.png", depth, colour, True)
raw_png("png-palette-transparent.png", 8, 3, chunks=[(b"tRNS", noise(200))])
raw_png("png-gray-transparent.png", 8, 0, chunks=[(b"tRNS", b"\0\7")])
raw_png("png-rgb-transparent.png", 8, 2, chunks=[(b"tRNS", b"\0\1\0\2\0\3")])
raw_png("png-chunks.png", 8, 2, chunks=[(b"gAMA", struct.pack(">I", 45455)), (b"tEXt", b"a\0b"), (b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))], idat=7)
for size in ((1, 1), (2, 9), (8, 1)):
    raw_png(f"png-{size[0]}x{size[1]}.png", 8, 2, True, width=size[0], height=size[1])
# WebP: lossy and lossless, with and without alpha, animated, odd sizes.
for size in ((W, H), (1, 1), (2, 3), (16, 16), (67, 90)):
    name = f"{size[0]}x{size[1]}"
    smooth("RGB", size).save(f"webp-lossy-{name}.webp", quality=60)
    smooth("RGB", size).save(f"webp-lossless-{name}.webp", lossless=True)
    smooth("RGBA", size).save(f"webp-alpha-{name}.webp", quality=80)
    smooth("RGBA", size).save(f"webp-lossless-alpha-{name}.webp", lossless=True, exact=True)
Image.effect_noise((200, 150), 90).convert("RGB").save("webp-noise.webp", quality=95)
smooth("RGB").save("webp-animation.webp", save_all=True, append_images=[smooth("RGB")], duration=100)
smooth("RGBA").save("webp-animation-alpha.webp", save_all=True, append_images=[smooth("RGBA")], duration=100, lossless=True)
# JPEG.
for mode in "L", "RGB", "CMYK":
    for sampling in ("4:4:4", "4:2:2", "4:2:0") if mode == "RGB" else ("4:4:4",):
        for progressive in False, True:
            name = f"jpeg-{mode}-{sampling.replace(':', '')}{'-progressive' if progressive else ''}.jpg"
            smooth(mode).save(name, quality=85, subsampling=sampling, progressive=progressive)
smooth("RGB").save("jpeg-restart.jpg", restart_marker_blocks=2)
jpeg = open("jpeg-RGB-420.jpg", "rb").read()
open("jpeg-scan-header.jpg", "wb").write(jpeg.replace(b"\0\x3f\0", bytes(3), 1))
open("jpeg-stray-bytes.jpg", "wb").write(jpeg[:2] + jpeg[2:].replace(b"\xff\xdb", b"stray\xff\xdb"))
# Faulty PNGs of writers and downloads: without an end, and with a wrong checksum of the pixels.
png = open("png-2-8.png", "rb").read()
open("png-no-end.png", "wb").write(png[:-12])
open("png-checksum.png", "wb").write(png[:-16] + bytes(255 - byte for byte in png[-16:-12]) + png[-12:])
# GIF: a frame smaller than its canvas, transparency, interlacing, gray.
smooth("RGB").save("gif-plain.gif")
smooth("RGB").save("gif-interlaced.gif", interlace=1)
smooth("L").save("gif-gray.gif", interlace=0)
smooth("RGB", (1, 1)).save("gif-1x1.gif")
smooth("RGB").quantize(50).save("gif-transparent.gif", transparency=3)
smooth("RGB").save("gif-animation.gif", save_all=True, append_images=[smooth("RGB")], duration=100)


def moved_gif(name, canvas, place, **options):
    """The frame is at PLACE of a CANVAS."""
    image = smooth("RGB").quantize(30)
    image.save(name, **options)
    data = bytearray(open(name, "rb").read())
    data[6:10] = struct.pack("<HH", *canvas)
    at = data.index(b"\x2c\0\0\0\0" + struct.pack("<HH", W, H))
    data[at + 1 : at + 5] = struct.pack("<HH", *place)
    open(name, "wb").write(data)


moved_gif("gif-small-frame.gif", (70, 50), (11, 7), interlace=1)
moved_gif("gif-small-frame-transparent.gif", (70, 50), (11, 7), transparency=5)
moved_gif("gif-large-frame.gif", (20, 20), (3, 9))


def raw_tiff(name, bands=1, bits=8, photometric=1, order="<", tile=None, rows=10, planar=1, deflate=False, extra=(), kind=1, orientation=1, big=False, data=None):
    """A TIFF of noise by hand: byte orders, tiles, planes, alpha, kinds of numbers."""
    across, down = tile or (W, rows)
    stored, planes = (bands, 1) if planar == 1 else (1, bands)
    blocks = []
    for _ in range(planes * -(-H // down) * -(-W // across)):
        top = len(blocks) // -(-W // across) * down % (-(-H // down) * down)
        count = down if tile else min(down, H - top)
        block = data(across * stored * count) if data else noise((across * stored * bits + 7) // 8 * count)
        blocks.append(zlib.compress(block) if deflate else block)
    word, head = ("Q", 16) if big else ("I", 8)
    long = 16 if big else 4
    tags = [(256, 3, [W]), (257, 3, [H]), (258, 3, [bits] * bands), (259, 3, [8 if deflate else 1]), (262, 3, [photometric]), (274, 3, [orientation])]
    tags += [(277, 3, [bands]), (284, 3, [planar]), (339, 3, [kind] * bands)]
    if photometric == 3:
        tags.append((320, 3, [random.randrange(65536) for _ in range(3 << bits)]))
    if extra:
        tags.append((338, 3, list(extra)))
    places, sizes = (324, 325) if tile else (273, 279)
    tags += [(322, 3, [across]), (323, 3, [down])] if tile else [(278, 3, [down])]
    tags += [(places, long, [0] * len(blocks)), (sizes, long, [len(b) for b in blocks])]
    tags.sort()
    form = {3: "H", 4: "I", 16: "Q"}
    fits = 8 if big else 4
    count_form, entry = ("Q", 20) if big else ("H", 12)
    after = head + struct.calcsize(count_form) + entry * len(tags) + struct.calcsize(word)
    at = after + sum(len(v) * struct.calcsize(form[t]) for _, t, v in tags if len(v) * struct.calcsize(form[t]) > fits)
    for _, _, values in (t for t in tags if t[0] == places):
        for index, block in enumerate(blocks):
            values[index] = at
            at += len(block)
    directory, values_at, far = struct.pack(order + count_form, len(tags)), after, b""
    for tag, kind_, values in tags:
        packed = struct.pack(f"{order}{len(values)}{form[kind_]}", *values)
        directory += struct.pack(order + "HH" + word, tag, kind_, len(values))
        if len(packed) <= fits:
            directory += packed.ljust(fits, b"\0")
        else:
            directory += struct.pack(order + word, values_at + len(far))
            far += packed
    mark = {"<": b"II", ">": b"MM"}[order]
    start = mark + (struct.pack(order + "HHHQ", 43, 8, 0, head) if big else struct.pack(order + "HI", 42, head))
    open(name, "wb").write(start + directory + struct.pack(order + word, 0) + far + b"".join(blocks))


# TIFF: depths, colours, byte orders, strips and tiles.
for order, mark in ("<", "le"), (">", "be"):
    for bits in 1, 2, 4, 8:
        raw_tiff(f"tiff-gray{bits}-{mark}.tif", bits=bits, order=order)
        raw_tiff(f"tiff-white{bits}-{mark}.tif", bits=bits, photometric=0, order=order, rows=40)
        raw_tiff(f"tiff-palette{bits}-{mark}.tif", bits=bits, photometric=3, order=order)
    raw_tiff(f"tiff-gray16-{mark}.tif", bits=16, order=order)
    raw_tiff(f"tiff-gray-alpha-{mark}.tif", bands=2, extra=[2], order=order)
    for bits in 8, 16:
        raw_tiff(f"tiff-rgb{bits}-{mark}.tif", 3, bits, 2, order, deflate=True)
        for meaning in 0, 1, 2:
            raw_tiff(f"tiff-rgba{bits}-{meaning}-{mark}.tif", 4, bits, 2, order, extra=[meaning])
        raw_tiff(f"tiff-cmyk{bits}-{mark}.tif", 4, bits, 5, order)
raw_tiff("tiff-big.tif", 3, 8, 2, big=True)
raw_tiff("tiff-planes.tif", 3, 8, 2, planar=2)
raw_tiff("tiff-planes-tiled.tif", 3, 8, 2, planar=2, tile=(16, 16), deflate=True)
raw_tiff("tiff-tiled.tif", 3, 8, 2, tile=(32, 16))
raw_tiff("tiff-tiled16.tif", 3, 16, 2, tile=(16, 16), deflate=True)
raw_tiff("tiff-gray-tiled.tif", 1, 8, 1, tile=(16, 48))
raw_tiff("deep-gray16.tif", bits=16, tile=(16, 16))
raw_tiff("deep-signed16.tif", bits=16, kind=2, order=">")
raw_tiff("deep-signed32.tif", bits=32, kind=2)
raw_tiff("deep-unsigned32.tif", bits=32, photometric=1)
raw_tiff("deep-rgb16.tif", 3, 16, 2, order=">")
raw_tiff("deep-float.tif", bits=32, kind=3, data=lambda n: struct.pack(f"<{n}f", *(random.gauss(0, 1000) for _ in range(n))))
for mode in "1", "L", "RGB", "CMYK", "P":
    for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits"] + (["group3", "group4"] if mode == "1" else []) + (["jpeg"] if mode in ("L", "RGB", "CMYK") else []):
        image = smooth("RGB").convert(mode) if mode in "1P" else smooth(mode)
        image.save(f"tiff-{mode}-{compression}.tif", compression=compression)
smooth("RGB").convert("YCbCr").save("tiff-ycbcr.tif", compression="tiff_lzw")
smooth("RGB").save("tiff-pages.tif", save_all=True, append_images=[smooth("RGB", (9, 9))])
# Orientations, of all formats.
for orientation in range(1, 9):
    smooth("RGB").save(f"turned-{orientation}.jpg", exif=exif(orientation), quality=90)
    smooth("RGB").save(f"turned-{orientation}.png", exif=exif(orientation))
    smooth("RGB").save(f"turned-{orientation}.webp", exif=exif(orientation))
    raw_tiff(f"turned-{orientation}.tif", 3, 8, 2, orientation=orientation)
