#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reference values of the single-level losses, by PyTorch's autograd in double: `python3 make_single.py`.

single.safetensors    real pairs, synthetic pairs, three sets of weights; of each case the parts of the loss and the
                      gradient by the synthetic pairs. Weights as make_golden.py stores them.

Written from the formulas in spec/math alone: centring by subtraction, angles by torch.acos, the ridge solution by
torch.linalg.solve of the whole system."""
import torch
import torch.nn.functional as F

from make_golden import SCALE, Flat, infonce, save

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
N, M, REAL, FEATURES, TEXT, DIM = 11, 7, 40, 12, 9, 16
RHO, LAMBDA, GKE, SIGMA, WIDTH, RIDGE, BACK, ALPHA = 1.5, 0.3, 0.8, 0.5, 1.2, 0.1, 0.3, 0.4


def heads(theta, x, y):
    flat = Flat(theta)

    def head(z):
        p = z @ flat.take(z.shape[1], DIM) + flat.take(DIM)
        h = F.gelu(p) @ flat.take(DIM, DIM) + flat.take(DIM)
        return F.normalize(F.layer_norm(p + h, (DIM,), flat.take(DIM), flat.take(DIM)))

    return head(x), head(y)


def weights(gen):
    """Both branches."""
    def normal(*shape):
        return torch.randn(*shape, generator=gen)

    out = []
    for width in (FEATURES, TEXT):
        out += [normal(width, DIM) / (3 * width) ** 0.5, 0.1 * normal(DIM), normal(DIM, DIM) / (3 * DIM) ** 0.5,
                0.1 * normal(DIM), 1 + 0.1 * normal(DIM), 0.1 * normal(DIM)]
    return out


def merge(a, b, anchor, alpha):
    merged, ratios = [], []
    for p, q, o in zip(a, b, anchor):
        c = F.cosine_similarity((p - o).flatten(), (q - o).flatten(), dim=0).clamp(min=0)
        t = 2 * c / (1 + c)
        merged.append(o + t * ((1 - alpha) * (p - o) + alpha * (q - o)))
        ratios.append(t)
    return merged, ratios


def gke(s, r):
    def k(a, b, same=False):
        c = a @ b.t()
        if same:  # the angle of a point with itself is 0, whatever rounding says
            c = c.masked_fill(torch.eye(len(a), dtype=torch.bool), 0)
        out = torch.exp(-torch.acos(c) ** 2 / (2 * SIGMA ** 2))
        return out.masked_fill(torch.eye(len(a), dtype=torch.bool), 1) if same else out

    return (k(s, s, True).mean() + k(r, r, True).mean() - 2 * k(s, r).mean()).sqrt()


def covmatch(x, y, real, means):
    def cross(p, q):
        return (p - p.mean(0)).t() @ (q - q.mean(0)) / (len(p) - 1)

    parts = [((RHO * cross(*real) - cross(x, y)) ** 2).sum()] + [((p - q) ** 2).sum() for p, q in means]
    return parts, parts[0] + LAMBDA * (parts[1] + parts[2])


def mdm(theta, x, y, xr, yr):
    (u, v), (ur, vr) = heads(theta, x, y), heads(theta, xr, yr)
    parts = [infonce(SCALE * u @ v.t()), gke(F.normalize(u + v), F.normalize(ur + vr)),
             gke(F.normalize(u - v), F.normalize(ur - vr))]
    return parts, parts[0] + GKE * (parts[1] + parts[2])


def krr(kernel, x, y, xr, yr, real):
    def way(a, t, ar, tr, all_a, all_t):
        mean, var = all_a.mean(0), ((all_a - all_a.mean(0)) ** 2).sum(1).mean()

        def k(p, q):
            if kernel == "linear":
                return (p - mean) @ (q - mean).t()
            return torch.exp(-((p[:, None] - q[None]) ** 2).sum(2) / (2 * WIDTH ** 2 * var))

        gram = k(a, a)
        gram = gram + RIDGE * gram.diag().mean() * torch.eye(len(a))
        guess = all_t.mean(0) + k(ar, a) @ torch.linalg.solve(gram, t - all_t.mean(0))
        return ((guess - tr) ** 2).sum(1).mean() / ((all_t - all_t.mean(0)) ** 2).sum(1).mean()

    parts = [way(x, y, xr, yr, *real), way(y, x, yr, xr, *real[::-1])]
    return parts, (1 - BACK) * parts[0] + BACK * parts[1]


def main():
    gen = torch.Generator().manual_seed(4)
    mix = torch.randn(FEATURES, TEXT, generator=gen) / FEATURES ** 0.5

    def pairs(n, mean):
        x = torch.randn(n, FEATURES, generator=gen) + mean
        return x, x @ mix + 0.5 * torch.randn(n, TEXT, generator=gen) - mean

    real, (x, y) = pairs(REAL, 0.7), pairs(N, 0.2)
    xr, yr = real[0][:M], real[1][:M]
    anchor, a, b = weights(gen), weights(gen), weights(gen)
    b = [o + 0.3 * p + 0.7 * q for o, p, q in zip(anchor, a, b)]
    a = [o + p for o, p in zip(anchor, a)]
    a[3] = anchor[3]                # a tensor that did not move
    b[7] = anchor[7] - 0.1 * a[7]   # and one that went the other way
    merged, ratios = merge(a, b, anchor, ALPHA)
    out = {"x": x, "y": y, "real.x": real[0], "real.y": real[1]}
    for name, parts in (("anchor", anchor), ("a", a), ("b", b), ("merged", merged)):
        out[name] = torch.cat([t.flatten() for t in parts])
    ratios[3] = torch.tensor(1.0)
    merged[3] = (1 - ALPHA) * a[3] + ALPHA * b[3]
    out["merged"], out["ratios"] = torch.cat([t.flatten() for t in merged]), torch.stack(ratios)
    theta = out["merged"]
    with torch.no_grad():
        ur, vr = heads(theta, xr, yr)

    def embedded(p, q):
        u, v = heads(theta, p, q)
        return [(u.mean(0), ur.mean(0)), (v.mean(0), vr.mean(0))]

    cases = {
        "covmatch": lambda p, q: covmatch(p, q, real, [(p.mean(0), real[0].mean(0)), (q.mean(0), real[1].mean(0))]),
        "covmatch-teacher": lambda p, q: covmatch(p, q, real, embedded(p, q)),
        "mdm": lambda p, q: mdm(theta, p, q, xr, yr),
        "krr-linear": lambda p, q: krr("linear", p, q, xr, yr, real),
        "krr-gauss": lambda p, q: krr("gauss", p, q, xr, yr, real),
    }
    for name, fn in cases.items():
        p, q = x.clone().requires_grad_(), y.clone().requires_grad_()
        parts, loss = fn(p, q)
        out[name + ".gx"], out[name + ".gy"] = torch.autograd.grad(loss, (p, q))
        out[name + ".loss"], out[name + ".parts"] = loss.reshape(1), torch.stack(parts)
    save("single.safetensors", out)


if __name__ == "__main__":
    main()
