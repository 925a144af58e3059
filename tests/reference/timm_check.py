"""Loads an exported encoder in timm and prints how far its features are off: timm_check.py FILE.safetensors

FILE holds model/<timm name> and images, cls [B, 1, D], patch [B, N, D]; its metadata gives image, patch, width, depth,
heads, registers. Exits with a message when keys do not match.
"""

import sys

import torch
from safetensors import safe_open
from timm.models.vision_transformer import VisionTransformer


def main(path):
    with safe_open(path, framework="pt") as file:
        config = {key: int(value) for key, value in file.metadata().items()}
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    state = {key.removeprefix("model/"): value for key, value in tensors.items() if key.startswith("model/")}
    model = VisionTransformer(
        img_size=config["image"], patch_size=config["patch"], embed_dim=config["width"], depth=config["depth"],
        num_heads=config["heads"], class_token=True, reg_tokens=config["registers"], no_embed_class=True, num_classes=0)
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        tokens = model.eval().forward_features(tensors["images"])
    ours = torch.cat([tensors["cls"], tensors["patch"]], dim=1)
    theirs = torch.cat([tokens[:, :1], tokens[:, 1 + config["registers"] :]], dim=1)
    print(float((ours - theirs).abs().max()))


if __name__ == "__main__":
    main(sys.argv[1])
