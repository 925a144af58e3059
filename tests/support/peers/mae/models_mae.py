"""A stand-in for the models of MAE's code: as many parameters, made with timm's classes as they were called in its version 0.3.2."""
import numpy
import torch
from timm.models.vision_transformer import Block, PatchEmbed


class MaskedAutoencoderViT(torch.nn.Module):
    def __init__(self, img_size, patch_size, embed_dim, depth, num_heads, decoder_embed_dim, decoder_depth, decoder_num_heads, mlp_ratio, norm_layer,
                 norm_pix_loss=False):
        super().__init__()
        assert norm_pix_loss and numpy.float is float
        blocks = lambda *words, count: torch.nn.Sequential(*(Block(*words, mlp_ratio, qkv_bias=True, qk_scale=None, norm_layer=norm_layer) for _ in range(count)))
        self.embed, self.patch = PatchEmbed(img_size, patch_size, 3, embed_dim), patch_size
        self.class_token, self.mask_token = (torch.nn.Parameter(torch.zeros(1, 1, width)) for width in (embed_dim, decoder_embed_dim))
        self.blocks, self.norm = blocks(embed_dim, num_heads, count=depth), norm_layer(embed_dim)
        self.narrow = torch.nn.Linear(embed_dim, decoder_embed_dim)
        self.decoder, self.decoder_norm = blocks(decoder_embed_dim, decoder_num_heads, count=decoder_depth), norm_layer(decoder_embed_dim)
        self.pixels = torch.nn.Linear(decoder_embed_dim, 3 * patch_size**2)

    def forward(self, images):
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), self.embed(images)], 1)
        out = self.pixels(self.decoder_norm(self.decoder(self.narrow(self.norm(self.blocks(tokens))) + self.mask_token)))[:, 1:]
        return torch.nn.functional.mse_loss(out, torch.nn.functional.unfold(images, self.patch, stride=self.patch).transpose(1, 2))
