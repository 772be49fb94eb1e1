#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peer_heads.py -- training the projection heads at their published size in PyTorch: the step of an expert, and a
student.

    peer_heads.py step [REPETITIONS [THREADS]]
        one step of plain SGD on 128 pairs, InfoNCE: seconds, median, least, most
    peer_heads.py student [EPOCHS [READINGS [THREADS]]]
        99 pairs in one batch, momentum 0.9, weight decay 5e-4, so many readings of R@1/5/10 on 1,000 x 5,000:
        seconds of training, of readings, of both

Heads 2304 -> 2304 for images and 768 -> 2304 for texts (GELU, residual, layer norm, dropout 0.1). Written for
speed: features in memory, each parameter a tensor of its own, updates in place, ranks by counting, not by sorting.
Called by b_heads. Without torch: says so, exit status 3."""
import statistics
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("torch is not installed")
    sys.exit(3)

IMAGE, TEXT, EMBED, SCALE, DROPOUT = 2304, 768, 2304, 14.3, 0.1
PAIRS, N_IMAGES, CAPTIONS = 99, 1000, 5


def fresh(inputs):
    def uniform(rows, columns):
        return ((2 * torch.rand(rows, columns) - 1) / columns ** 0.5).requires_grad_()
    return [uniform(EMBED, inputs), torch.zeros(EMBED, requires_grad=True), uniform(EMBED, EMBED),
            torch.zeros(EMBED, requires_grad=True), torch.ones(EMBED, requires_grad=True),
            torch.zeros(EMBED, requires_grad=True)]


def head(x, w, training):
    p = F.linear(x, w[0], w[1])
    h = F.dropout(F.linear(F.gelu(p), w[2], w[3]), DROPOUT, training)
    return F.normalize(F.layer_norm(p + h, (EMBED,), w[4], w[5]), dim=1)


def step(optimiser, weights, x, y):
    z = SCALE * head(x, weights[:6], True) @ head(y, weights[6:], True).T
    own = torch.arange(len(x))
    loss = (F.cross_entropy(z, own) + F.cross_entropy(z.T, own)) / 2
    optimiser.zero_grad(set_to_none=False)
    loss.backward()
    optimiser.step()
    return loss


def reading(weights, images, texts):
    with torch.no_grad():
        z = head(images, weights[:6], False) @ head(texts, weights[6:], False).T
        of = torch.arange(len(texts)) // CAPTIONS
        own = z[of, torch.arange(len(texts))]
        best = own.view(-1, CAPTIONS).amax(1)
        by_text = (z > own[None, :]).sum(0)
        by_image = (z > best[:, None]).sum(1)
        return [float((r < k).float().mean()) for r in (by_text, by_image) for k in (1, 5, 10)]


def time_steps(repetitions):
    optimiser = torch.optim.SGD(weights, lr=0.1, foreach=False)
    x, y = torch.randn(128, IMAGE), torch.randn(128, TEXT)
    seconds = []
    for _ in range(repetitions + 3):
        begin = time.perf_counter()
        step(optimiser, weights, x, y)
        seconds.append(time.perf_counter() - begin)
    seconds = seconds[3:]
    return statistics.median(seconds), min(seconds), max(seconds)


def time_student(epochs, readings):
    optimiser = torch.optim.SGD(weights, lr=0.01, momentum=0.9, weight_decay=5e-4, foreach=False)
    x, y = torch.randn(PAIRS, IMAGE), torch.randn(PAIRS, TEXT)
    images, texts = torch.randn(N_IMAGES, IMAGE), torch.randn(N_IMAGES * CAPTIONS, TEXT)
    at = {epochs * (i + 1) // readings for i in range(readings)}
    training = reads = 0.0
    for epoch in range(1, epochs + 1):
        begin = time.perf_counter()
        step(optimiser, weights, x, y)
        training += time.perf_counter() - begin
        if epoch in at:
            begin = time.perf_counter()
            reading(weights, images, texts)
            reads += time.perf_counter() - begin
    return training, reads, training + reads


what = sys.argv[1] if len(sys.argv) > 1 else "step"
numbers = [int(a) for a in sys.argv[2:]]
wanted = 1 if what == "step" else 2
if len(numbers) > wanted:
    torch.set_num_threads(numbers[wanted])
torch.set_flush_denormal(True)
torch.manual_seed(1)
weights = fresh(IMAGE) + fresh(TEXT)
times = time_steps(*(numbers[:1] or [20])) if what == "step" else time_student(*(numbers[:2] or [100, 6]))
print(*(f"{t:.4f}" for t in times), f"torch {torch.__version__}, {torch.get_num_threads()} threads")
