"""Writes weights under other projects' names, made from timm's models: make_imports.py FOLDER

FOLDER/<layout>.safetensors holds the weights, FOLDER/<layout>.expected.safetensors images and timm's tokens of them. clip_exact.safetensors
(float64) is such a network as CLIP's picture tower: p/NAME, images, block (behind the first), tokens, w, and g/NAME gradients of sum(tokens * w).
"""

import functools
import re
import sys

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

SIZE = dict(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=4, num_classes=0)


def model(**options):
    torch.manual_seed(3)
    vit = VisionTransformer(**SIZE | options).eval()
    with torch.no_grad():
        for p in vit.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return vit


def mae(state):
    """Its own names are timm's; a decoder beside them. Row 0 of the positions is zero."""
    return state | {"mask_token": torch.zeros(1, 1, 32), "decoder_embed.weight": torch.zeros(32, 64), "decoder_blocks.0.norm1.weight": torch.ones(32)}


def dinov2(state):
    state = {("register_tokens" if name == "reg_token" else re.sub(r"^blocks\.(\d+)", r"blocks.0.\1", name)): value for name, value in state.items()}
    return {"backbone." + name: value for name, value in state.items()} | {"backbone.mask_token": torch.zeros(1, 64)}


def huggingface(state):
    rules = [(r"^cls_token", "embeddings.cls_token"), (r"^pos_embed", "embeddings.position_embeddings"),
             (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"), (r"^blocks\.(\d+)\.", r"encoder.layer.\1."),
             (r"\.norm1\.", ".layernorm_before."), (r"\.norm2\.", ".layernorm_after."), (r"\.attn\.proj\.", ".attention.output.dense."),
             (r"\.mlp\.fc1\.", ".intermediate.dense."), (r"\.mlp\.fc2\.", ".output.dense."), (r"^norm\.", "layernorm.")]
    out = {}
    for name, value in state.items():
        for pattern, to in rules:
            name = re.sub(pattern, to, name)
        if ".attn.qkv." in name:
            for part, piece in zip(("query", "key", "value"), value.chunk(3)):
                out[name.replace(".attn.qkv.", f".attention.attention.{part}.")] = piece
        else:
            out[name] = value
    return {"vit." + name: value for name, value in out.items()} | {"classifier.weight": torch.zeros(10, 64)}


def huggingface_dinov2(state):
    state = {("register_tokens" if name == "reg_token" else name): value for name, value in state.items()}
    out = {name.removeprefix("vit."): value for name, value in huggingface(state).items() if not name.startswith("classifier")}
    rules = [("layernorm_before", "norm1"), ("layernorm_after", "norm2"), (".intermediate.dense", ".mlp.fc1"), ("ls1.gamma", "layer_scale1.lambda1"),
             ("ls2.gamma", "layer_scale2.lambda1"), ("register_tokens", "embeddings.register_tokens")]
    renamed = {}
    for name, value in out.items():
        if ".attention." not in name:
            name = name.replace(".output.dense", ".mlp.fc2")
        for old, new in rules:
            name = name.replace(old, new)
        renamed[name] = value
    return renamed | {"embeddings.mask_token": torch.zeros(1, 64)}


def huggingface_ijepa(state):
    return {name.removeprefix("vit."): value for name, value in huggingface(state).items() if not name.startswith("classifier")}


# The picture tower of CLIP.
CLIP = dict(pre_norm=True, act_layer="quick_gelu", norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-5))


def clip_exact(folder):
    vit = model(**CLIP, no_embed_class=True, num_heads=8).double()
    out = {"p/" + name: value.clone() for name, value in vit.state_dict().items()}
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    tokens, (block,) = vit.forward_intermediates(images, indices=[0], output_fmt="NLC")
    w = torch.randn_like(tokens)
    (tokens * w).sum().backward()
    out |= {"images": images, "block": block, "tokens": tokens, "w": w} | {"g/" + name: value.grad for name, value in vit.named_parameters()}
    save_file({name: value.detach().clone().contiguous() for name, value in out.items()}, f"{folder}/clip_exact.safetensors")


CASES = {
    "timm": (dict(), lambda state: state),
    "timm_registers": (dict(reg_tokens=4, no_embed_class=True, init_values=0.1), lambda state: state),
    "clip": (CLIP, lambda state: state | {"head.weight": torch.zeros(16, 64)}),
    "mae": (dict(), mae),
    "ijepa": (dict(class_token=False, global_pool="avg", fc_norm=False), lambda state: {"module." + n: v for n, v in state.items()}),
    "dinov2": (dict(reg_tokens=4, reg_tokens_no_pos=True, init_values=0.1), dinov2),
    "huggingface": (dict(), huggingface),
    "huggingface_dinov2": (dict(reg_tokens=4, no_embed_class=True, init_values=0.1), huggingface_dinov2),
    "huggingface_ijepa": (dict(class_token=False, global_pool="avg", fc_norm=False), huggingface_ijepa),
}


def main(folder):
    for name, (options, convert) in CASES.items():
        if options.pop("reg_tokens_no_pos", False):  # DINOv2: registers have no position, the class token has one
            options["no_embed_class"] = True
        vit = model(**options)
        state = vit.state_dict()
        if name == "dinov2":
            position = torch.randn(1, 1, 64)
            state = state | {"cls_token": state["cls_token"] - position, "pos_embed": torch.cat([position, state["pos_embed"]], 1)}
        if name == "mae":
            with torch.no_grad():
                vit.pos_embed[:, 0] = 0
            state = vit.state_dict()
        images = torch.randn(2, 3, 32, 32)
        with torch.no_grad():
            tokens = vit.forward_features(images)
        save_file({key: value.clone().contiguous() for key, value in convert(dict(state)).items()}, f"{folder}/{name}.safetensors")
        save_file({"images": images, "patch": tokens[:, vit.num_prefix_tokens :].contiguous()}, f"{folder}/{name}.expected.safetensors")
    clip_exact(folder)


if __name__ == "__main__":
    main(sys.argv[1])
