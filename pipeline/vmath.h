/* SPDX-License-Identifier: MIT
 * vmath.h -- exp, tanh, erf and the normal distribution, written so that a loop over them vectorises: no
 * branch, no call, no table. In the double build they are libm's: that is the reference which
 * tests/t_vmath.c holds the float forms against (bounds stated there).
 *
 * All take any input; NaN stays NaN. vl_exp gives 0 below -87.3 instead of going through the denormals, and
 * stays at about 2e38 above 88.37 instead of infinity.
 * Sources: Cody & Waite's reduction with the exp and tanh coefficients of Moshier's Cephes;
 *          erfc(z) = t Q(t) exp(-z^2), t = 1 / (1 + p z), coefficients from spec/math/vmath_fit.py. */
#ifndef VL_VMATH_H
#define VL_VMATH_H

#include "pipeline/real.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VL_INV_SQRT2   VL_R(0.70710678118654752)
#define VL_INV_SQRT2PI VL_R(0.39894228040143268)

#ifdef VL_REAL_DOUBLE

static inline double vl_exp(double x)
{
    return exp(x);
}
static inline double vl_tanh(double x)
{
    return tanh(x);
}
static inline double vl_erf(double x)
{
    return erf(x);
}
/* Phi(x) and phi(x), the normal distribution and its density. */
static inline void vl_normal(double x, double *cdf, double *pdf)
{
    *cdf = 0.5 * erfc(-x * VL_INV_SQRT2);
    *pdf = VL_INV_SQRT2PI * exp(-0.5 * x * x);
}

#else

static inline float vl_exp(float x)
{
    float c = x < -87.3f ? -87.3f : x, n, r, p;
    int32_t bits;

    c = c > 88.37f ? 88.37f : c;
    n = c * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the sum's low bits are the rounded integer */
    memcpy(&bits, &n, sizeof bits);
    n -= 12582912.0f;
    r = c - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    bits = (int32_t)(((uint32_t)bits + 127u) << 23); /* 2^n; the magic's own bits shift out */
    memcpy(&n, &bits, sizeof n);
    return x < -87.3f ? 0.0f : p * n;
}

static inline float vl_erfc_scaled(float z) /* erfc(z) / exp(-z^2), z >= 0 */
{
    float t = 1.0f / (1.0f + 0.33f * z), q = -0.1359287792f;

    q = q * t + 0.4626881325f;
    q = q * t - 0.3554387264f;
    q = q * t + 0.4125413553f;
    q = q * t + 0.04501081345f;
    q = q * t + 0.2019237588f;
    q = q * t + 0.1828372554f;
    q = q * t + 0.1863661087f;
    return q * t;
}

static inline float vl_erf(float x)
{
    float z = fabsf(x);

    return copysignf(1.0f - vl_erfc_scaled(z) * vl_exp(-z * z), x);
}

static inline float vl_tanh(float x)
{
    float z = fabsf(x), s = x * x, p, big;

    p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s - 5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s - 3.33332819422e-1f;
    p = p * s * x + x;
    big = copysignf(1.0f - 2.0f / (vl_exp(2.0f * z) + 1.0f), x);
    return z < 0.625f ? p : big;
}

static inline void vl_normal(float x, float *cdf, float *pdf)
{
    float z = fabsf(x) * VL_INV_SQRT2, e = vl_exp(-0.5f * x * x), tail = 0.5f * vl_erfc_scaled(z) * e;

    *cdf = x < 0 ? tail : 1.0f - tail;
    *pdf = VL_INV_SQRT2PI * e;
}

#endif
#endif
