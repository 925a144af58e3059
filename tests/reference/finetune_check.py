"""A classifier behind an encoder, its losses and its mixing by timm, float64: finetune_check.py FILE.safetensors

FILE holds images, labels [B], soft [B, C], encoder/<timm name>, classifier/<timm name> and cases [n, 4] (lambda, whether
cutmix, row and column of its centre); metadata image, patch, width, depth, heads, registers, pool, smoothing. Writes
FILE.out: scores, soft_loss, hard_loss, soft/<gradient> and hard/<gradient>, and of each case mixed/N and targets/N.
"""

import sys

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from timm.data.mixup import Mixup
from timm.loss import SoftTargetCrossEntropy
from timm.models.vision_transformer import VisionTransformer


def mixed(images, labels, classes, smoothing, case):
    """timm's Mixup with given draws."""
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=smoothing, num_classes=classes)
    mixup._params_per_batch = lambda: (float(case[0]), bool(case[1]))
    centre = iter(int(value) for value in case[2:])
    numpy.random.randint = lambda *_, **__: next(centre)
    return mixup(images.clone(), labels)


def main(path):
    with safe_open(path, framework="pt") as file:
        options = file.metadata()
        tensors = {key: file.get_tensor(key).double() for key in file.keys()}
    size = {key: int(options[key]) for key in ("image", "patch", "width", "depth", "heads", "registers")}
    smoothing = float(options["smoothing"])
    images, labels, soft = tensors["images"], tensors["labels"].long(), tensors["soft"]
    mean = options["pool"] == "mean"
    model = VisionTransformer(
        img_size=size["image"], patch_size=size["patch"], embed_dim=size["width"], depth=size["depth"], num_heads=size["heads"],
        class_token=True, reg_tokens=size["registers"], no_embed_class=True, num_classes=soft.shape[1],
        global_pool="avg" if mean else "token", fc_norm=mean)
    state = {key.split("/", 1)[1]: value for key, value in tensors.items() if "/" in key}
    if mean:  # timm has no final norm then
        state = {key: value for key, value in state.items() if not key.startswith("norm.")}
    model.load_state_dict(state, strict=True)
    model.double().eval()
    out = {"scores": model(images)}
    losses = {"soft": SoftTargetCrossEntropy()(model(images), soft),
              "hard": torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(model(images), labels)}
    for name, loss in losses.items():
        model.zero_grad()
        loss.backward()
        out[f"{name}_loss"] = loss.reshape(1)
        out.update({f"{name}/{key}": value.grad.clone() for key, value in model.named_parameters() if key != "pos_embed"})
    for number, case in enumerate(tensors["cases"]):
        out[f"mixed/{number}"], out[f"targets/{number}"] = mixed(images, labels, soft.shape[1], smoothing, case)
    save_file({key: value.detach().contiguous() for key, value in out.items()}, path + ".out")


if __name__ == "__main__":
    main(sys.argv[1])
