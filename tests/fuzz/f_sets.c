/* SPDX-License-Identifier: MIT
 * f_sets.c -- any bytes as a shard that tools compute with: a distilled set, trajectories. What is read has the
 * network that its manifest says, and finite numbers; --skip-bad reads at least as much. */
#include "distill/distilled.h"
#include "distill/trajectory.h"
#include "tests/fuzz/shard_mutate.h"

#include <math.h>

static void all_finite(const vl_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        HOLDS(isfinite(x[i]));
}

static int hear_shard(void *arg, const vls_reader *r, vl_err *e)
{
    (void)arg;
    (void)r;
    (void)e;
    return VL_OK;
}

static int hear_record(void *arg, const char *key, const char *why, vl_err *e)
{
    (void)arg;
    (void)e;
    HOLDS(*key && *why);
    return VL_OK;
}

/* Was it read? */
static bool distilled(const char *path, bool skip_bad)
{
    const vls_read_opts how = {.skip_bad = skip_bad};
    vls_reader *r = NULL;
    bool good;
    vld_distilled d = {0};
    vl_err e;

    if (told(vls_reader_open(path, &how, &r, &e), &e))
        return false;
    good = !told(vld_distilled_read(r, &d, &e), &e);
    if (good) {
        HOLDS(d.set.n >= d.batch && d.batch >= 2);
        all_finite(d.set.image, d.set.n * d.model.size * d.model.size * 3);
        all_finite(d.set.text, d.set.n * d.model.text_dim);
        HOLDS(d.set.rate[0] > 0 && d.set.rate[1] > 0);
        for (size_t i = 0; i < d.set.n; i++)
            HOLDS(d.init_key[i] && d.nearest[i]);
    }
    vld_distilled_free(&d);
    vls_reader_close(r);
    return good;
}

/* How many experts were read. */
static int experts(const char *path, const vls_left_out *left_out)
{
    int n = 0;
    vld_experts x = {0};
    vl_err e;

    if (!told(vld_experts_salvage(&path, 1, 0, left_out, &x, NULL, &e), &e)) {
        HOLDS(x.n > 0 && x.n <= VLD_MAX_EXPERTS);
        for (int i = 0; i < x.n; i++) {
            HOLDS(x.n_snaps[i] > 0);
            all_finite(x.theta[i], (size_t)x.n_snaps[i] * x.model.n);
        }
        n = x.n;
    }
    vld_experts_free(&x);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const vls_left_out ear = {NULL, hear_shard, hear_record};
    fuzz_file f = fuzz_open(data, n);
    bool good = distilled(f.path, false);
    int whole = experts(f.path, NULL);

    HOLDS(distilled(f.path, true) || !good);
    HOLDS(experts(f.path, &ear) >= whole);
    fuzz_close(&f);
    return 0;
}
