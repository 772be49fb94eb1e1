# SPDX-License-Identifier: MIT
# make_pt.py -- the golden files of this folder that torch.save wrote. They are committed; this is how they were
# made, each by the version that its line in README.md names:
#   python make_pt.py 0 DIR      with torch 1.13.1, numpy 1.26.4
#   python make_pt.py 1 DIR      with torch 2.8.0, numpy 2.4
# The structures are those of the published code of trajectory matching (distill/import_pt.h), small.
import collections
import math
import sys

import numpy
import torch

which, out = int(sys.argv[1]), sys.argv[2]
gen = numpy.random.Generator(numpy.random.PCG64(7))  # the same numbers whatever the version of torch


def randn(*shape):
    return torch.from_numpy(numpy.array(gen.standard_normal(shape), "float32"))


def head(d, h):
    return [randn(h, d), randn(h), randn(h, h), randn(h), torch.ones(h), torch.zeros(h)]


def encoder():
    return [randn(2, 3, 3, 3), randn(2), randn()]


def hexed(t):
    t = t.detach().contiguous()
    name = str(t.dtype).split(".")[1]
    raw = t.reshape(-1).view(torch.uint8) if t.numel() else torch.zeros(0, dtype=torch.uint8)
    return name, ",".join(map(str, t.shape)), raw.numpy().tobytes().hex()


# One expert of three snapshots in each file; both versions write the same numbers.
torch.save([[encoder() for _ in range(3)]], f"{out}/img_replay_buffer_{which}.pt")
torch.save([[head(4, 6) for _ in range(3)]], f"{out}/txt_replay_buffer_{which}.pt")

M, r = 4, 2
a, left, right = torch.ones(M), randn(M, r), randn(M, r)
common = {"image": randn(M, 3, 8, 8), "text": randn(M, 5)}
if which == 0:
    torch.save(
        {
            **common,
            "similarity_params": [a, left, right],
            "similarity_mat": torch.diag(a) + left @ right.t() * 3 / r,
            "syn_lr_img": torch.tensor(0.125),
            "syn_lr_txt": torch.tensor(0.0625),
        },
        f"{out}/distilled_0.pt",
    )
else:  # parameters, half precision, one full similarity, and what later projects might add
    torch.save(
        {
            "image": torch.nn.Parameter(common["image"].half()),
            "text": common["text"].bfloat16(),
            "similarity_params": [torch.eye(M)],
            "similarity_mat": torch.eye(M),
            "syn_lr_img": torch.tensor([0.25], dtype=torch.float64),
            "syn_lr_txt": 0.5,
            "logit_scale": torch.tensor(2.66),
            "iteration": 3000,
            "note": "trained twice",
            "resumed": None,
        },
        f"{out}/distilled_1.pt",
    )

# Every kind of view, every dtype; what it must read as lies beside it.
base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
bits = torch.from_numpy(numpy.array([0x7FC12345, 0x80000000, 1, 0xFF800000], "uint32").view("float32").copy())
cases = collections.OrderedDict(
    whole=base,
    transposed=base.permute(2, 0, 1),
    sliced=base[1:, ::2, 1:4],
    row=base[2],
    column=base[:, 1, 2],
    broadcast=torch.tensor([7.0]).expand(2, 3),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(base[0].clone()),
    bits=bits,
    half=torch.tensor([1.5, -0.0, math.inf]).half(),
    bfloat16=torch.tensor([1.5, -0.0, 3e38]).bfloat16(),
    double=torch.tensor([math.pi], dtype=torch.float64),
    byte=torch.tensor([0, 255], dtype=torch.uint8),
    char=torch.tensor([-128, 127], dtype=torch.int8),
    short=torch.tensor([-2, 3], dtype=torch.int16),
    int=torch.tensor([-(2**31), 5], dtype=torch.int32),
    long=torch.tensor([[2**40], [-1]], dtype=torch.int64),
    bool=torch.tensor([True, False, True]),
    complex=torch.tensor([1 + 2j], dtype=torch.complex64),
)
module = torch.nn.Linear(3, 2)
with torch.no_grad():
    for p in module.parameters():
        p.copy_(randn(*p.shape))
for name, t in module.state_dict().items():
    cases[f"linear.{name}"] = t
state = module.state_dict()  # an OrderedDict with attributes
torch.save({"cases": cases, "state": state}, f"{out}/views_{which}.pt", pickle_protocol=4 if which else 2)
with open(f"{out}/views.tsv", "w") as f:
    for name, t in cases.items():
        print(name, *hexed(t), sep="\t", file=f)
