#!/usr/bin/env python3
"""Fits the polynomial of pipeline/vmath.h: erfc(z) = t Q(t) exp(-z^2), t = 1 / (1 + p z), z >= 0.

Run by hand (NumPy 1.24.2, Python 3.11.2): prints p, the coefficients lowest first and the largest relative
error of the fit over 0 <= z <= 9. Least squares on Chebyshev nodes in t, weighted to be relative, with the
weights raised where the error is largest until it is level (Lawson's iteration)."""
import math

import numpy as np


def erfcx(z):
    return math.erfc(z) * math.exp(z * z)


def fit(p, degree, nodes=4000):
    k = np.arange(nodes)
    lo = 1 / (1 + 9 * p)
    t = 0.5 * (1 + lo) + 0.5 * (1 - lo) * np.cos(np.pi * (k + 0.5) / nodes)
    y = np.array([erfcx((1 / x - 1) / p) for x in t]) / t
    a = np.vander(2 * t - 1, degree + 1, increasing=True) / y[:, None]
    w = np.ones(nodes)
    for _ in range(200):
        s = np.sqrt(w)[:, None]
        c, *_ = np.linalg.lstsq(a * s, s[:, 0], rcond=None)
        r = np.abs(a @ c - 1)
        w *= r + 1e-3 * r.max()
        w /= w.mean()
    # back to powers of t
    q = np.polynomial.polynomial.Polynomial(c)(np.polynomial.polynomial.Polynomial([-1, 2]))
    return q.coef, r.max()


best = min(((fit(p, 7)[1], p) for p in np.arange(0.25, 0.6, 0.01)))
coef, err = fit(best[1], 7)
print("p = %.9g" % best[1])
for c in coef:
    print("%.10g" % c)
print("largest relative error %.3g" % err)
