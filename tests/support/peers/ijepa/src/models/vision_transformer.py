"""A stand-in for the models of I-JEPA's code: as many parameters, and the arguments that tests/perf/whole/peer.py gives."""
import torch


def blocks(width, depth, heads):
    return torch.nn.Sequential(*(torch.nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True, norm_first=True) for _ in range(depth)))


class VisionTransformer(torch.nn.Module):
    def __init__(self, img_size, patch_size, embed_dim, depth, num_heads, mlp_ratio, qkv_bias, norm_layer):
        super().__init__()
        assert img_size[0] % patch_size == 0 and mlp_ratio == 4 and qkv_bias
        self.embed = torch.nn.Conv2d(3, embed_dim, patch_size, patch_size)
        self.blocks, self.norm = blocks(embed_dim, depth, num_heads), norm_layer(embed_dim)

    def forward(self, images):
        return self.norm(self.blocks(self.embed(images).flatten(2).transpose(1, 2)))


class Predictor(torch.nn.Module):
    def __init__(self, width, narrow, depth, heads):
        super().__init__()
        self.narrow, self.token = torch.nn.Linear(width, narrow), torch.nn.Parameter(torch.zeros(narrow))
        self.blocks, self.norm, self.wide = blocks(narrow, depth, heads), torch.nn.LayerNorm(narrow), torch.nn.Linear(narrow, width)

    def forward(self, tokens):
        return self.wide(self.norm(self.blocks(self.narrow(tokens) + self.token)))
