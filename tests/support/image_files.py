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
# Orientations, of all formats.
for orientation in range(1, 9):
    smooth("RGB").save(f"turned-{orientation}.jpg", exif=exif(orientation), quality=90)
    smooth("RGB").save(f"turned-{orientation}.png", exif=exif(orientation))
    smooth("RGB").save(f"turned-{orientation}.webp", exif=exif(orientation))
