# SPDX-License-Identifier: MIT
"""peer_recall.py -- recall as published evaluations compute it, timed: one product, the best 128 scores of each
query kept and the others filled with -100, each row sorted by argsort, the positions of the positives looked up.
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


def run(n, n_caps, dim):
    torch.manual_seed(1)
    u = torch.nn.functional.normalize(torch.randn(n, dim))
    v = torch.nn.functional.normalize(torch.randn(n_caps, dim))
    image = np.repeat(np.arange(n), [n_caps // n + (i < n_caps % n) for i in range(n)])
    captions = [np.where(image == i)[0] for i in range(n)]
    t0 = time.perf_counter()
    scores = u @ v.T
    t1 = time.perf_counter()
    recall(best_scores(scores), captions)
    recall(best_scores(scores.T.contiguous()), [[i] for i in image])
    return time.perf_counter() - t0, time.perf_counter() - t1


for size in ((1000, 5000, 512), (1000, 5000, 2304), (5000, 25010, 2304)):
    runs = [run(*size) for _ in range(3 if size[0] < 5000 else 1)]
    print("peer, torch %s, %d threads: %5d x %5d, D %4d  %7.3f s, after the product %.1f ms" % (
        torch.__version__, torch.get_num_threads(), *size, statistics.median(r[0] for r in runs),
        1e3 * statistics.median(r[1] for r in runs)))
