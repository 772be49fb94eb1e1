#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two small vision transformers with random weights as the transformers library saves them, and what it computes with
them in double: `python3 make_vit_folders.py`, torch 2.8.0, transformers 5.23.0.

vit_*, dinov2_*     config.json, model.safetensors (F32, F16), preprocessor_config.json (as *_preprocessor.json)
folders.safetensors images as the toolkit sees them, and class tokens after the last layer norm: at the folder's own
                    size and, with interpolated positions, at another"""
import json
import os
import shutil
import tempfile

import torch
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from make_golden import here, save

MEAN, SD = 0.5, 0.25  # pipeline/view.h
FAMILIES = {
    "vit": (ViTConfig, lambda c: ViTModel(c, add_pooling_layer=False), {"intermediate_size": 32, "qkv_bias": False},
            [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], torch.float32),
    "dinov2": (Dinov2Config, Dinov2Model, {}, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], torch.float16),
}


def folder(name, gen, out, x):
    make_config, make_model, more, mean, sd, dtype = FAMILIES[name]
    config = make_config(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=4,
                         attn_implementation="eager", **more)
    model = make_model(config)
    for p in model.parameters():
        p.data = torch.randn(p.shape, generator=gen) * (0.5 if p.dim() > 1 else 0.3) + (p.data if p.dim() == 1 else 0)
    with tempfile.TemporaryDirectory() as path:
        model.to(dtype).save_pretrained(path)
        for f in ("config.json", "model.safetensors"):
            shutil.copyfile(os.path.join(path, f), os.path.join(here, name + "_" + f))
    with open(os.path.join(here, name + "_preprocessor.json"), "w") as f:
        json.dump({"image_mean": mean, "image_std": sd}, f)
        f.write("\n")
    model = model.double().eval()
    for side, pixels in x.items():
        theirs = (pixels * SD + MEAN - torch.tensor(mean, dtype=pixels.dtype)) / torch.tensor(sd, dtype=pixels.dtype)
        more = {} if name == "dinov2" else {"interpolate_pos_encoding": True}
        with torch.no_grad():
            y = model(theirs.permute(0, 3, 1, 2), **more).last_hidden_state[:, 0]
        out["%s.%d" % (name, side)] = y


if __name__ == "__main__":
    torch.set_default_dtype(torch.float32)
    gen = torch.Generator().manual_seed(7)
    x = {s: torch.randint(0, 256, (2, s, s, 3), generator=gen).double().div(255).sub(MEAN).div(SD) for s in (16, 24)}
    out = {"x.%d" % s: v for s, v in x.items()}
    for name in FAMILIES:
        folder(name, gen, out, x)
    save("folders.safetensors", out, "make_vit_folders.py")
