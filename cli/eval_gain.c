/* SPDX-License-Identifier: MIT
 * eval_gain.c -- what rows say of each other in numbers; formulas and sources in spec/eval.md.
 *
 *   ior      mean recall less that of random pairs: as many, same network, epochs and views
 *   of_full  100 x mean recall / that of the full data
 *   lrs      label robust score: of w IOR - (1 - w) HLR, HLR what full data have over the set with the identity in
 *            place of a learned similarity
 *   ars      augmentation robust score: of w IOR with views + (1 - w) IOR without
 * Both scores map [-1, 1] to [0, 100] by (e^x - 1/e) / (e - 1/e), recall as a share of 1, w = 1/2. */
#include "cli/eval.h"

#include <math.h>

static eval_views partner_views(const eval_row *r)
{
    return r->views == EVAL_PLAIN ? EVAL_PLAIN : EVAL_AS_EVER;
}

bool eval_comparable(const eval_row *a, const eval_row *b)
{
    return a->model == b->model && a->select == b->select && partner_views(a) == b->views;
}

/* The row of this kind that r is compared with; NULL: none. */
static const eval_row *partner(const eval *v, const eval_row *r, eval_kind kind)
{
    for (size_t i = 0; i < v->n_rows; i++)
        if (v->row[i].kind == kind && eval_comparable(r, &v->row[i]))
            return &v->row[i];
    return NULL;
}

/* The row of r's sets and network with these views. */
static const eval_row *with_views(const eval *v, const eval_row *r, eval_views views)
{
    for (size_t i = 0; i < v->n_rows; i++) {
        const eval_row *x = &v->row[i];
        if (x->kind == r->kind && x->set_number == r->set_number && x->model == r->model &&
            x->select == r->select && x->views == views)
            return x;
    }
    return NULL;
}

/* The same sets with hard labels: where a similarity was learned, without it. NULL: not in the table. */
static const eval_row *hard_labels(const eval *v, const eval_row *r)
{
    if (v->set[r->set_number].set.objective.sim == VLM_SIM_NONE)
        return r;
    for (size_t i = 0; i < v->n_rows; i++) {
        const eval_row *x = &v->row[i];
        if (x->kind == EVAL_ABLATED && x->without == VLD_NO_SIMILARITY && x->set_number == r->set_number &&
            x->model == r->model && x->select == r->select && x->views == r->views)
            return x;
    }
    return NULL;
}

static double score(double x)
{
    return 100 * (exp(x) - exp(-1)) / (exp(1) - exp(-1));
}

static double share(const eval_row *r)
{
    return r->stats.mean.mean / 100;
}

static double label_robust(const eval *v, const eval_row *r)
{
    const eval_row *random = partner(v, r, EVAL_RANDOM), *full = partner(v, r, EVAL_FULL),
                   *hard = hard_labels(v, r);

    if (!random || !full || !hard || r->kind != EVAL_DISTILLED)
        return NAN;
    return score(0.5 * (share(r) - share(random)) - 0.5 * (share(full) - share(hard)));
}

static double augmentation_robust(const eval *v, const eval_row *r)
{
    const eval_row *seen = with_views(v, r, EVAL_AUGMENTED), *plain = with_views(v, r, EVAL_PLAIN);
    const eval_row *random = partner(v, r, EVAL_RANDOM), *random_plain;

    if (!plain || !random || r->kind != EVAL_DISTILLED || r->views != EVAL_AS_EVER)
        return NAN;
    seen = seen ? seen : r; /* its own views are those of real pairs */
    random_plain = partner(v, plain, EVAL_RANDOM);
    if (!random_plain)
        return NAN;
    return score(0.5 * (share(seen) - share(random)) + 0.5 * (share(plain) - share(random_plain)));
}

void eval_gains(eval *v)
{
    for (size_t i = 0; i < v->n_rows; i++) {
        eval_row *r = &v->row[i];
        const eval_row *random = partner(v, r, EVAL_RANDOM), *full = partner(v, r, EVAL_FULL);
        r->gain = (eval_gain){{NAN, NAN, NAN}, NAN, NAN, NAN};
        if (r->kind == EVAL_CHANCE)
            continue;
        if (random && random != r && r->kind != EVAL_FULL)
            r->gain.ior = vld_subtract(&r->stats.mean, &random->stats.mean);
        if (full && full != r && share(full) > 0)
            r->gain.of_full = 100 * share(r) / share(full);
        r->gain.lrs = label_robust(v, r);
        r->gain.ars = augmentation_robust(v, r);
    }
}
