"""RandAugment's operations by timm and Pillow: rand_augment_check.py FILE.safetensors

FILE holds images named as they like, [H, W, 3] of whole numbers as floats. Writes FILE.out with IMAGE|OPERATION|LEVEL|SIGN,
the image after timm's operation at that level, with the coin of its direction fixed.
"""

import sys

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import auto_augment as timm_ops


def main(path):
    out = {}
    for name, pixels in load_file(path).items():
        picture = Image.fromarray(pixels.numpy().astype(numpy.uint8))
        for operation in timm_ops._RAND_INCREASING_TRANSFORMS:
            for level in (0.0, 2.5, 6.0, 9.0, 9.37, 10.0):
                for sign in (1, -1):
                    timm_ops._randomly_negate = lambda value, sign=sign: sign * value
                    to_argument = timm_ops.LEVEL_TO_ARG[operation]
                    arguments = to_argument(level, {}) if to_argument else ()
                    done = timm_ops.NAME_TO_OP[operation](
                        picture, *arguments, fillcolor=(124, 116, 104), resample=Image.Resampling.BICUBIC)
                    out[f"{name}|{operation}|{level}|{sign}"] = torch.from_numpy(numpy.array(done)).float()
    save_file(out, path + ".out")


if __name__ == "__main__":
    main(sys.argv[1])
