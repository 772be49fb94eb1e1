# SPDX-License-Identifier: MIT
"""peer_recall.py -- recall in PyTorch, timed. sorted: as published evaluations do it, one product, the best 128
scores of each query kept and the others filled with -100, each row sorted by argsort, the positions of the positives
looked up. counted: what a careful user would write, the best positive's score of each query by scatter, then a count of
the scores that reach it, with the whole matrix in memory.
Called by b_recall; says so and ends well where torch or numpy is missing."""
import statistics
import sys
import time

try:
    import numpy as np
    import torch
except ImportError as why:
    print("peer skipped:", why)
    sys.exit(0)


def best_scores(scores):
    kept, where = scores.topk(min(128, scores.shape[1]), dim=1)
    return torch.full_like(scores, -100.0).scatter_(1, where, kept).numpy()


def recall(scores, positives):
    rank = np.empty(len(scores))
    for q, row in enumerate(scores):
        order = np.argsort(row)[::-1]
        rank[q] = min(np.where(order == p)[0][0] for p in positives[q])
    return [100.0 * np.mean(rank < k) for k in (1, 5, 10)]


def by_sorting(scores, image, captions):
    recall(best_scores(scores), captions)
    recall(best_scores(scores.T.contiguous()), [[i] for i in image])


def by_counting(scores, image, captions):
    at = torch.as_tensor(image)
    own = scores[at, torch.arange(len(image))]
    best = torch.full((scores.shape[0],), -2.0).scatter_reduce(0, at, own, "amax")
    positives = torch.zeros(scores.shape[0], dtype=torch.long).index_add(0, at, (own >= best[at]).long())
    of_images = (scores >= best[:, None]).sum(1) - positives
    of_texts = (scores >= own[None, :]).sum(0) - 1
    return [(r < k).float().mean().item() for r in (of_texts, of_images) for k in (1, 5, 10)]


def run(way, n, n_caps, dim):
    torch.manual_seed(1)
    u = torch.nn.functional.normalize(torch.randn(n, dim))
    v = torch.nn.functional.normalize(torch.randn(n_caps, dim))
    image = np.repeat(np.arange(n), [n_caps // n + (i < n_caps % n) for i in range(n)])
    captions = [np.where(image == i)[0] for i in range(n)]
    t0 = time.perf_counter()
    scores = u @ v.T
    t1 = time.perf_counter()
    way(scores, image, captions)
    return time.perf_counter() - t0, time.perf_counter() - t1


for name, way in (("counted", by_counting), ("sorted", by_sorting)):
    for size in ((1000, 5000, 512), (1000, 5000, 2304), (5000, 25010, 2304)):
        runs = [run(way, *size) for _ in range(1 if way is by_sorting and size[0] == 5000 else 3)]
        print("peer, torch %s, %d threads, %s: %5d x %5d, D %4d  %7.3f s, after the product %.1f ms" % (
            torch.__version__, torch.get_num_threads(), name, *size, statistics.median(r[0] for r in runs),
            1e3 * statistics.median(r[1] for r in runs)))
