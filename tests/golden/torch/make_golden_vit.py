#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reference values of the vision transformer, by PyTorch's autograd in double: `python3 make_golden_vit.py`.

attention.safetensors  softmax attention under InfoNCE: gradients and Hessian-vector products of q, k, v
vit.safetensors        vit:8x2x2/4: embeddings, loss, gradient, its Hessian-vector product along itself
lora.safetensors       one iteration of trajectory matching: the same network frozen, lora=2, alpha=3, T = 4

Weights as in make_golden.py: flat, in the order of their use, linear [in,out], convolutions [k,k,in,out]."""
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

import draws
from make_golden import ITER, SEED, Flat, cosine_logits, infonce, iteration, save, second_order

SCRIPT = "make_golden_vit.py"
SIDE, PATCH, DIM, DEPTH, HEADS, TEXT, EMBED = 16, 4, 8, 2, 2, 10, 6
TOKENS = (SIDE // PATCH) ** 2 + 1
RANK, ALPHA, T = 2, 3.0, 4


def attend(q, k, v, heads):
    """q, k, v [B,N,D]"""
    def split(x):
        return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

    with sdpa_kernel(SDPBackend.MATH):
        out = F.scaled_dot_product_attention(split(q), split(k), split(v))
    return out.transpose(1, 2).reshape(q.shape)


def attention():
    gen = torch.Generator().manual_seed(4)
    b, n, d, heads = 4, 5, 6, 3
    q, k, v, other = (torch.randn(b * n, d, generator=gen) for _ in range(4))

    def loss(q, k, v):
        y = attend(*(x.reshape(b, n, d) for x in (q, k, v)), heads).reshape(b * n, d)
        return infonce(3.0 * F.normalize(y) @ other.t())

    inputs, directions = [q, k, v], [torch.randn(b * n, d, generator=gen) for _ in range(3)]
    value, grads, along, second = second_order(loss, inputs, directions)
    out = {"other": other, "loss": value.reshape(1), "tangent": along.reshape(1)}
    for i in range(3):
        out["x%d" % i], out["xt%d" % i] = inputs[i], directions[i]
        out["gx%d" % i], out["gxt%d" % i] = grads[i], second[i]
    save("attention.safetensors", out, SCRIPT)


def vit(own, project, x):
    """own: the transformer's weights; project(h, in, out): a projection, which takes its weights itself."""
    w, bias = own.take(PATCH, PATCH, 3, DIM), own.take(DIM)
    h = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), bias, PATCH)
    h = h.flatten(2).transpose(1, 2)
    h = torch.cat([own.take(DIM).expand(len(x), 1, DIM), h], 1) + own.take(TOKENS, DIM)

    def norm(h):
        return F.layer_norm(h, (DIM,), own.take(DIM), own.take(DIM))

    for _ in range(DEPTH):
        z = norm(h)
        q, k, v = (project(z, DIM, DIM) for _ in range(3))
        h = h + project(attend(q, k, v, HEADS), DIM, DIM)
        h = h + project(F.gelu(project(norm(h), DIM, 4 * DIM)), 4 * DIM, DIM)
    return norm(h[:, 0])


def plain(own):
    return lambda h, n, m: h @ own.take(n, m) + own.take(m)


def corrected(own, factors):
    def project(h, n, m):
        w, b, p, q = own.take(n, m), own.take(m), factors.take(n, RANK), factors.take(RANK, m)
        return h @ (w + ALPHA / RANK * p @ q) + b  # not in the order of the toolkit's own products

    return project


def heads(flat, h, y):
    u = h @ flat.take(DIM, EMBED) + flat.take(EMBED)
    return u, y @ flat.take(TEXT, EMBED) + flat.take(EMBED)


def own_weights(gen):
    """Every parameter away from its initial value: gains from 1, biases from 0."""
    def normal(*shape):
        return torch.randn(*shape, generator=gen)

    def projection(n, m):
        return [normal(n, m) / n ** 0.5, 0.1 * normal(m)]

    def norm():
        return [1 + 0.1 * normal(DIM), 0.1 * normal(DIM)]

    parts = [normal(PATCH, PATCH, 3, DIM) / (3 * PATCH * PATCH) ** 0.5, 0.1 * normal(DIM), normal(DIM),
             0.5 * normal(TOKENS, DIM)]
    for _ in range(DEPTH):
        parts += norm() + sum((projection(DIM, DIM) for _ in range(4)), [])
        parts += norm() + projection(DIM, 4 * DIM) + projection(4 * DIM, DIM)
    return torch.cat([p.flatten() for p in parts + norm()])


def head_weights(gen):
    parts = [(DIM, EMBED), (1, EMBED), (TEXT, EMBED), (1, EMBED)]
    return torch.cat([(torch.randn(n, m, generator=gen) / n ** 0.5).flatten() for n, m in parts])


def whole():
    gen = torch.Generator().manual_seed(5)
    theta = torch.cat([own_weights(gen), head_weights(gen)]).requires_grad_()
    x, y = torch.randn(3, SIDE, SIDE, 3, generator=gen), torch.randn(3, TEXT, generator=gen)
    flat = Flat(theta)
    u, v = heads(flat, vit(flat, plain(flat), x), y)
    assert flat.at == len(theta)
    loss = infonce(cosine_logits(u, v))
    grad = torch.autograd.grad(loss, theta, create_graph=True)[0]
    hv = torch.autograd.grad((grad * grad.detach()).sum(), theta)[0]
    save("vit.safetensors", {"theta": theta, "x": x, "y": y, "u": F.normalize(u), "loss": loss.reshape(1),
                             "grad": grad, "hv": hv}, SCRIPT)


def lora():
    gen = torch.Generator().manual_seed(6)
    n, b = 6, 3
    base = own_weights(gen)
    shapes = [(DIM, DIM)] * 4 + [(DIM, 4 * DIM), (4 * DIM, DIM)]
    factors = [0.3 * torch.randn(s, generator=gen).flatten() for _ in range(DEPTH) for i, o in shapes
               for s in ((i, RANK), (RANK, o))]
    start = torch.cat(factors + [head_weights(gen)])
    text = TEXT * EMBED + EMBED
    rows = draws.batch_rows(n, b, SEED, ITER, T)

    def step_loss(i, theta, data):
        own, flat = Flat(base), Flat(theta)
        u, v = heads(flat, vit(own, corrected(own, flat), data["x"][rows[i]]), data["y"][rows[i]])
        assert own.at == len(base) and flat.at == len(theta)
        return infonce(cosine_logits(u, v))

    iteration("lora", [len(start) - text, text],
              {"start": start, "x": torch.randn(n, SIDE, SIDE, 3, generator=gen),
               "y": torch.randn(n, TEXT, generator=gen)}, [0.02, 0.02], step_loss, gen, T, SCRIPT, {"base": base})


if __name__ == "__main__":
    attention()
    whole()
    lora()
    print("torch", torch.__version__)
