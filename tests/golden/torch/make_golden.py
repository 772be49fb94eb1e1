#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reference values of the tensor engine, by PyTorch's autograd in double: `python3 make_golden.py`.

losses.safetensors    values, gradients and Hessian-vector products of each loss
convnet.safetensors   one iteration of trajectory matching: convnet:4x2, InfoNCE, T = 8
heads.safetensors     one iteration: two projection heads with dropout, blending, wBCE, low-rank similarity, T = 8

The iterations are differentiated by autograd through the whole unroll, which knows nothing of adjoints.
Weights are stored in the toolkit's layout: flat, image branch first, linear [in,out], convolutions
[k,k,in,out], pixels [n,S,S,3]."""
import json
import os
import struct

import torch
import torch.nn.functional as F

import draws

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
SCALE, T, SEED, ITER = 1 / 0.07, 8, 5, 3


def save(name, tensors, script="make_golden.py"):
    """safetensors, F64 only, names in order."""
    head, data = {"__metadata__": {"made_by": script, "torch": torch.__version__.split("+")[0]}}, b""
    for key in sorted(tensors):
        t = torch.as_tensor(tensors[key]).detach().double().contiguous()
        raw = struct.pack("<%dd" % t.numel(), *t.flatten().tolist())
        head[key] = {"dtype": "F64", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(here, name), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


# ---- losses ------------------------------------------------------------------------------------------------

def infonce(z, s=None):
    d = torch.arange(len(z))
    return (F.cross_entropy(z, d) + F.cross_entropy(z.t(), d)) / 2


def bce(z, s):
    return F.binary_cross_entropy_with_logits(z, s)


def wbce(z, s):
    e = -s * torch.log(torch.sigmoid(z) + 1e-6) - (1 - s) * torch.log(1 - torch.sigmoid(z) + 1e-6)
    pos = s.detach() > 0.5
    return (e[pos].sum() / (pos.sum() + 1e-6) + e[~pos].sum() / ((~pos).sum() + 1e-6)) / 2


def ence(z, s):
    return -((s * F.log_softmax(z, 1)).sum(1).mean() + (s * F.log_softmax(z, 0)).sum(0).mean()) / 2


def lowrank(l, r, w, alpha):
    return alpha / l.shape[1] * l @ r.t() + torch.diag(w)


def second_order(fn, inputs, directions):
    """The value, its gradients, its derivative along the directions, and that of the gradients."""
    inputs = [i.requires_grad_() for i in inputs]
    value = fn(*inputs)
    grads = torch.autograd.grad(value, inputs, create_graph=True)
    along = sum((g * d).sum() for g, d in zip(grads, directions))
    return value, grads, along, torch.autograd.grad(along, inputs)


def losses():
    gen = torch.Generator().manual_seed(1)
    b, r, out = 7, 3, {}

    def normal(*shape):
        return torch.randn(*shape, generator=gen)

    cases = {
        "infonce": (infonce, [3 * normal(b, b)]),
        "bce": (bce, [3 * normal(b, b), 0.1 * normal(b, b) + 0.8 * torch.eye(b)]),
        "wbce": (wbce, [3 * normal(b, b), 0.1 * normal(b, b) + torch.eye(b)]),
        "ence": (ence, [3 * normal(b, b), 0.3 * normal(b, b) + torch.eye(b)]),
        "wbce_lowrank": (lambda z, l, r_, w: wbce(z, lowrank(l, r_, w, 3.0)),
                         [3 * normal(b, b), normal(b, r), 0.05 * normal(b, r), 1 + 0.1 * normal(b)]),
    }
    for name, (fn, inputs) in cases.items():
        directions = [normal(*i.shape) for i in inputs]
        value, grads, along, second = second_order(fn, inputs, directions)
        out[name + ".loss"], out[name + ".tangent"] = value.reshape(1), along.reshape(1)
        for k, i in enumerate(inputs):
            out["%s.x%d" % (name, k)], out["%s.xt%d" % (name, k)] = i, directions[k]
            out["%s.gx%d" % (name, k)], out["%s.gxt%d" % (name, k)] = grads[k], second[k]
    save("losses.safetensors", out)


# ---- one iteration -----------------------------------------------------------------------------------------

class Flat:
    """Cuts a flat vector into parameters in the order in which they are asked for."""

    def __init__(self, theta):
        self.theta, self.at = theta, 0

    def take(self, *shape):
        n = torch.Size(shape).numel()
        self.at += n
        return self.theta[self.at - n:self.at].reshape(shape)


def unroll(sizes, start, target, rates, step_loss, n_steps):
    """J after n_steps of gradient descent, every step kept in the graph. sizes: reals of the two branches."""
    theta = start
    steps = torch.cat([rates[b].expand(sizes[b]) for b in range(2)])
    values = []
    for i in range(n_steps):
        loss = step_loss(i, theta)
        values.append(loss.detach())
        theta = theta - steps * torch.autograd.grad(loss, theta, create_graph=True)[0]
    ratio = []
    for lo, hi in ((0, sizes[0]), (sizes[0], sum(sizes))):
        ratio.append(((theta[lo:hi] - target[lo:hi]) ** 2).sum() / ((start[lo:hi] - target[lo:hi]) ** 2).sum())
    return torch.stack(ratio), torch.stack(values)


def iteration(name, sizes, data, rates, step_loss, gen, n_steps=T, script="make_golden.py", more=None):
    """Writes inputs, the gradient with respect to every entry of data and the rates, and `more`."""
    n = sum(sizes)
    data = {k: v.requires_grad_() for k, v in data.items()}
    start = data.pop("start").detach().requires_grad_()
    target = start.detach() + 0.1 * torch.randn(n, generator=gen)
    rates = torch.tensor(rates).requires_grad_()
    match, values = unroll(sizes, start, target.detach(), rates, lambda i, th: step_loss(i, th, data),
                           n_steps)
    names = list(data)
    grads = torch.autograd.grad(match.sum(), [data[k] for k in names] + [rates])
    out = {"start": start, "target": target, "rates": rates, "match": match, "losses": values,
           "g.rates": grads[-1]}
    for k, g in zip(names, grads):
        out[k], out["g." + k] = data[k], g
    save(name + ".safetensors", {**out, **(more or {})}, script)


def cosine_logits(u, v):
    return SCALE * F.normalize(u) @ F.normalize(v).t()


def convnet():
    gen = torch.Generator().manual_seed(2)
    n, b, side, k, d = 8, 4, 16, 10, 6
    widths = [(4, 3, 4, 4, 0), (3, 4, 4, 1, 1), (3, 4, 6, 2, 1)]  # kernel, in, out, stride, padding

    def image(flat, x):
        h = x.permute(0, 3, 1, 2)
        for size, ci, co, stride, pad in widths:
            w, bias = flat.take(size, size, ci, co), flat.take(co)
            h = F.gelu(F.conv2d(h, w.permute(3, 2, 0, 1), bias, stride, pad))
        return h.mean((2, 3)) @ flat.take(6, d) + flat.take(d)

    sizes = [sum(s * s * ci * co + co for s, ci, co, _, _ in widths) + 6 * d + d, k * d + d]
    start = 0.3 * torch.randn(sum(sizes), generator=gen)
    rows = draws.batch_rows(n, b, SEED, ITER, T)

    def step_loss(i, theta, data):
        flat = Flat(theta)
        u = image(flat, data["x"][rows[i]])
        v = data["y"][rows[i]] @ flat.take(k, d) + flat.take(d)
        return infonce(cosine_logits(u, v))

    iteration("convnet", sizes, {"start": start, "x": torch.randn(n, side, side, 3, generator=gen),
                                 "y": torch.randn(n, k, generator=gen)}, [0.04, 0.02], step_loss, gen)


def heads():
    gen = torch.Generator().manual_seed(3)
    n, b, f, k, d, r = 11, 5, 12, 9, 16, 3
    rows = draws.batch_rows(n, b, SEED, ITER, T)

    def head(flat, x, fan_in, step, site):
        p = x @ flat.take(fan_in, d) + flat.take(d)
        h = F.gelu(p) @ flat.take(d, d) + flat.take(d)
        keep = draws.kept(SEED, draws.stream("dropout", ITER, step, site), b * d, 0.1)
        h = h * torch.tensor(keep, dtype=h.dtype).reshape(b, d) / 0.9
        return F.layer_norm(p + h, (d,), flat.take(d), flat.take(d))

    def step_loss(i, theta, data):
        flat, row = Flat(theta), rows[i]
        lam = draws.beta(SEED, draws.stream("blend", ITER, i, 0), 1.0)
        perm = draws.shuffle(SEED, draws.stream("blend", ITER, i, 1), b)
        x, y = data["x"][row], data["y"][row]
        u = head(flat, lam * x + (1 - lam) * x[perm], f, i, 0)
        v = head(flat, lam * y + (1 - lam) * y[perm], k, i, 1)
        s = lowrank(data["l"][row], data["r"][row], data["w"][row], 3.0)
        assert (s - 0.5).abs().min() > 0.1  # nowhere near the jump of wBCE
        return wbce(cosine_logits(u, v), s)

    def branch(fan_in):
        def normal(*shape):
            return torch.randn(*shape, generator=gen) / (3 * shape[0]) ** 0.5

        return [normal(fan_in, d), 0.1 * normal(d), normal(d, d), 0.1 * normal(d), 1 + 0.1 * normal(d),
                0.1 * normal(d)]

    start = torch.cat([t.flatten() for fan_in in (f, k) for t in branch(fan_in)])
    sizes = [fan_in * d + d + d * d + d + 2 * d for fan_in in (f, k)]

    def normal(*shape):
        return torch.randn(*shape, generator=gen)

    iteration("heads", sizes, {"start": start, "x": normal(n, f), "y": normal(n, k), "l": normal(n, r),
                               "r": 0.03 * normal(n, r), "w": 1 + 0.05 * normal(n)}, [0.1, 0.05], step_loss, gen)


if __name__ == "__main__":
    losses()
    convnet()
    heads()
    print("torch", torch.__version__)
