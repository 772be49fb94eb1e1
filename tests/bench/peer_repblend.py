#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peer_repblend.py -- one iteration of RepBlend's distillation loop in PyTorch, projection heads on given features.

    peer_repblend.py [STEPS [REPETITIONS [THREADS]]]

The arithmetic of Zhang et al. (2025), written from its formulas: T plain steps of both heads (GELU, residual,
layer norm, dropout 0.1, blending, weighted BCE against a low-rank similarity), then TESLA's gradient: each step's
loss again, its gradient with a graph, and the derivative of its product with the end point's difference. Each
parameter is a tensor of its own, so nothing is flattened or copied. Prints seconds: median, least, most; of the
processor with one thread, else by the clock.

Without torch: says so, exit status 3."""
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("torch is not installed")
    sys.exit(3)

PAIRS, BATCH, IMAGE, TEXT, EMBED, RANK = 99, 20, 2304, 768, 2304, 10
SCALE, ALPHA, DROPOUT, RATE = 1 / 0.07, 3.0, 0.1, 0.1


def fresh(inputs, generator):
    """Weights of one head, laid out as torch's linear layers have them."""
    def uniform(rows, columns):
        return (2 * torch.rand(rows, columns, generator=generator) - 1) / columns ** 0.5
    return [uniform(EMBED, inputs), torch.zeros(EMBED), uniform(EMBED, EMBED), torch.zeros(EMBED),
            torch.ones(EMBED), torch.zeros(EMBED)]


def head(x, w):
    p = F.linear(x, w[0], w[1])
    h = F.dropout(F.linear(F.gelu(p), w[2], w[3]), DROPOUT)
    return F.normalize(F.layer_norm(p + h, (EMBED,), w[4], w[5]), dim=1)


def weighted_bce(z, s):
    e = F.binary_cross_entropy_with_logits(z, s, reduction="none")
    high = s > 0.5
    return (e[high].mean() + e[~high].mean()) / 2


def loss_of(weights, data, rows, lam, perm):
    image, text, left, right, diagonal = data
    x, y = image[rows], text[rows]
    x = lam * x + (1 - lam) * x[perm]
    y = lam * y + (1 - lam) * y[perm]
    s = ALPHA / RANK * left[rows] @ right[rows].T + torch.diag(diagonal[rows])
    return weighted_bce(SCALE * head(x, weights[:6]) @ head(y, weights[6:]).T, s)


def draws(steps):
    per_pass = PAIRS // BATCH
    order = [torch.randperm(PAIRS) for _ in range(-(-steps // per_pass))]
    return [(order[i // per_pass][i % per_pass * BATCH:(i % per_pass + 1) * BATCH],
             float(torch.distributions.Beta(1.0, 1.0).sample()), torch.randperm(BATCH)) for i in range(steps)]


def iteration(start, target, data, rates, steps):
    """TESLA's gradient of the data and the rates."""
    rate = [rates[0]] * 6 + [rates[1]] * 6
    plan = draws(steps)
    snapshots, total = [start], [torch.zeros_like(w) for w in start]
    for step in plan:
        at = [w.detach().requires_grad_() for w in snapshots[-1]]
        grads = torch.autograd.grad(loss_of(at, [d.detach() for d in data], *step), at)
        for t, g in zip(total, grads):
            t += g
        snapshots.append([torch.sub(w.detach(), g, alpha=a) for w, g, a in zip(at, grads, rate)])
    lam = []
    for side in (slice(0, 6), slice(6, 12)):
        far = sum(((a - b) ** 2).sum() for a, b in zip(start[side], target[side]))
        lam += [2 / far * (a - b) for a, b in zip(snapshots[-1][side], target[side])]
    d_rate = [-sum((a * b).sum() for a, b in zip(lam[side], total[side])) for side in (slice(0, 6), slice(6, 12))]
    v = [a * b for a, b in zip(rate, lam)]
    out = [torch.zeros_like(d) for d in data]
    for weights, step in zip(snapshots, plan):
        at = [w.detach().requires_grad_() for w in weights]
        grads = torch.autograd.grad(loss_of(at, data, *step), at, create_graph=True)
        for o, g in zip(out, torch.autograd.grad(grads, data, grad_outputs=v)):
            o -= g
    return out, d_rate


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else torch.get_num_threads()
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    g = torch.Generator().manual_seed(1)
    start = fresh(IMAGE, g) + fresh(TEXT, g)
    target = [w + 0.01 * torch.randn(w.shape, generator=g) for w in start]
    data = [torch.randn(PAIRS, IMAGE, generator=g), torch.randn(PAIRS, TEXT, generator=g),
            torch.randn(PAIRS, RANK, generator=g), torch.zeros(PAIRS, RANK), torch.ones(PAIRS)]
    data = [d.requires_grad_() for d in data]
    seconds = []
    torch.set_flush_denormal(True)
    for i in range(repetitions + 1):
        begin = clock()
        out, _ = iteration(start, target, data, (RATE, RATE), steps)
        seconds.append(clock() - begin)
        assert all(torch.isfinite(o).all() for o in out)
    seconds = seconds[1:]
    print(f"{statistics.median(seconds):.4f} {min(seconds):.4f} {max(seconds):.4f} torch {torch.__version__}, "
          f"{torch.get_num_threads()} threads")


main()
