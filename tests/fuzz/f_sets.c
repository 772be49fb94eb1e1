/* SPDX-License-Identifier: MIT
 * f_sets.c -- any bytes as a shard that tools compute with: a distilled set, trajectories. What is read has the
 * network that its manifest says, and finite numbers. */
#include "distill/distilled.h"
#include "distill/trajectory.h"
#include "tests/fuzz/shard_mutate.h"

#include <math.h>

static void all_finite(const vl_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        HOLDS(isfinite(x[i]));
}

static void distilled(const char *path)
{
    vls_reader *r = NULL;
    vld_distilled d = {0};
    vl_err e;

    if (told(vls_reader_open(path, NULL, &r, &e), &e))
        return;
    if (!told(vld_distilled_read(r, &d, &e), &e)) {
        HOLDS(d.set.n >= d.batch && d.batch >= 2);
        all_finite(d.set.pixels, d.set.n * d.model.size * d.model.size * 3);
        all_finite(d.set.text, d.set.n * d.model.text_dim);
        HOLDS(d.set.rate[0] > 0 && d.set.rate[1] > 0);
        for (size_t i = 0; i < d.set.n; i++)
            HOLDS(d.init_key[i] && d.nearest[i]);
    }
    vld_distilled_free(&d);
    vls_reader_close(r);
}

static void experts(const char *path)
{
    vld_experts x = {0};
    vl_err e;

    if (!told(vld_experts_read(&path, 1, 0, &x, NULL, &e), &e)) {
        HOLDS(x.n > 0 && x.n <= VLD_MAX_EXPERTS);
        for (int i = 0; i < x.n; i++) {
            HOLDS(x.n_snaps[i] > 0);
            all_finite(x.theta[i], (size_t)x.n_snaps[i] * x.model.n);
        }
    }
    vld_experts_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_file f = fuzz_open(data, n);

    distilled(f.path);
    experts(f.path);
    fuzz_close(&f);
    return 0;
}
