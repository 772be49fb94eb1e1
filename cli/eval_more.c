/* SPDX-License-Identifier: MIT
 * eval_more.c -- rows that are asked for, beside those of eval_rows.c.
 *
 *   herding-N, ...       --controls: a selection of select.h by what a briefly trained student sees
 *   LABEL-N-no-PART      --ablate: the distilled row without a part that it learned; no-rates: the grid of real
 *                        pairs in place of the learned rates
 *   ROW@SPEC             --students: random, selected and distilled rows and full data, another network
 *   ROW@plain            --ars: random and distilled rows without views; ROW@views: a distilled row with those of
 *                        real pairs, where its own are others
 *   ROW@last             --select: the last epoch counts, whatever validation says
 *   ROW@test-best        --legacy-best: the epoch that is best on test
 *
 * A row behind @ has the students' streams of the row before it, so both begin alike; rows that differ in the
 * epoch alone share the students of the choice. */
#include "cli/eval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t eval_more_room(const eval *v, size_t rows)
{
    rows += v->o.n_coresets + VLD_ABLATIONS * v->n_sets;
    return rows * (v->o.n_transfer + 3) * 3; /* networks and views, each with three rules for the epoch */
}

static void name_add(eval_row *r, const char *sign, const char *what)
{
    size_t used = strlen(r->name);

    snprintf(r->name + used, sizeof r->name - used, "%s%s", sign, what);
}

/* ---- coresets ------------------------------------------------------------------------------------- */

static int add_coreset(eval *v, const vld_coreset *c, const vld_select_method *m, vl_err *e)
{
    eval_row *r = eval_row_new(v, EVAL_CORESET, m->name, &v->o.grid);
    int rc = eval_row_draws(r, 1, e);

    snprintf(r->stream, sizeof r->stream, "coreset %s", m->name);
    if (!rc && !(r->rows = vl_alloc(v->n, sizeof *r->rows, e)))
        rc = VL_ENOMEM;
    if (!rc)
        rc = vld_coreset_pick(c, m, v->n, r->rows, e);
    if (rc)
        return rc;
    r->draw[0].source = (vld_source){&v->train.d, r->rows, v->n, NULL};
    r->bytes = vld_control_bytes(&v->train.d, r->rows, v->n);
    return VL_OK;
}

static bool counts_forgetting(const eval_options *o)
{
    for (size_t i = 0; i < o->n_coresets; i++)
        if (o->coreset[i]->by == VLD_BY_SCORE)
            return true;
    return false;
}

int eval_coreset_rows(eval *v, vl_err *e)
{
    const eval_options *o = &v->o;
    vld_warm how = {.model = &v->model,
                    .batch = o->full_batch ? (size_t)o->full_batch : v->batch,
                    .aug = v->aug,
                    .seed = (uint64_t)o->common.seed};
    vl_pool *pool = NULL;
    vld_coreset *c = NULL;
    int rc;

    if (!o->n_coresets)
        return VL_OK;
    memcpy(how.rate, o->full_grid.rate[0], sizeof how.rate);
    rc = vl_pool_new((int)o->common.threads, &pool, e);
    how.pool = pool;
    if (!rc && (rc = vld_coreset_new(&how, &v->train.d, counts_forgetting(o), &c, e)))
        vl_within(e, "the network that coresets are chosen by");
    for (size_t i = 0; !rc && i < o->n_coresets; i++)
        rc = add_coreset(v, c, o->coreset[i], e);
    vld_coreset_free(c);
    vl_pool_free(pool);
    return rc;
}

/* ---- ablations ------------------------------------------------------------------------------------ */

static bool in_row(const eval *v, const eval_set *s, const eval_row *r)
{
    return s->distilled && !strcmp(s->label, v->set[r->set_number].label);
}

static int ablate_draws(const eval *v, eval_row *r, vl_err *e)
{
    const vl_data *train = v->o.train.n ? &v->train.d : NULL;
    size_t k = 0;

    r->set = vl_alloc(r->n_draws, sizeof *r->set, e);
    if (!r->set)
        return VL_ENOMEM;
    for (size_t i = r->set_number; i < v->n_sets && k < r->n_draws; i++) {
        const eval_set *s = &v->set[i];
        if (!in_row(v, s, r))
            continue;
        if (vld_ablate(&s->set, r->without, train, &r->set[k], e))
            return vl_within(e, "--ablate %s: %s", vld_ablation_name[r->without], s->path[0]);
        r->draw[k].source.set = &r->set[k];
        for (int b = 0; b < VLM_BRANCHES; b++)
            r->draw[k].base[b] = r->without == VLD_NO_RATES ? 1 : s->set.set.rate[b];
        k++;
    }
    return VL_OK;
}

static int add_ablated(eval *v, size_t base, vld_ablation what, vl_err *e)
{
    eval_row *r = &v->row[v->n_rows++];
    int rc;

    *r = v->row[base];
    r->draw = NULL;
    r->set = NULL;
    r->rows = NULL;
    r->kind = EVAL_ABLATED;
    r->without = what;
    r->bytes = 0; /* nobody stores it */
    name_add(r, "-no-", vld_ablation_name[what]);
    if (what == VLD_NO_RATES)
        r->grid = &v->o.grid;
    rc = eval_row_draws(r, v->row[base].n_draws, e);
    return rc ? rc : ablate_draws(v, r, e);
}

int eval_ablated_rows(eval *v, vl_err *e)
{
    size_t rows = v->n_rows;
    int rc = VL_OK;

    for (size_t i = 0; i < rows; i++)
        for (int a = 0; !rc && v->row[i].kind == EVAL_DISTILLED && a < VLD_ABLATIONS; a++)
            if (v->o.ablate[a])
                rc = add_ablated(v, i, (vld_ablation)a, e);
    return rc;
}

/* ---- variants ------------------------------------------------------------------------------------- */

static eval_row *copy_row(eval *v, size_t base, const char *what)
{
    eval_row *r = &v->row[v->n_rows++];

    *r = v->row[base];
    r->copy = true;
    name_add(r, "@", what);
    return r;
}

static int other_networks(eval *v, vl_err *e)
{
    const vlm_model *m = &v->model;
    size_t rows = v->n_rows;

    for (size_t k = 0; k < v->o.n_transfer; k++) {
        if (vlm_parse(v->o.transfer[k], m->size, m->text_dim, m->embed_dim, m->scale, &v->transfer[k], e))
            return vl_within(e, "--students");
        for (size_t i = 0; i < rows; i++)
            if (v->row[i].kind == EVAL_RANDOM || v->row[i].kind == EVAL_SELECTED ||
                v->row[i].kind == EVAL_DISTILLED || v->row[i].kind == EVAL_FULL)
                copy_row(v, i, v->transfer[k].spec)->model = &v->transfer[k];
    }
    return VL_OK;
}

static void other_views(eval *v)
{
    bool own = !vl_augment_equal(&v->set_aug, &v->aug);
    size_t rows = v->n_rows;

    for (size_t i = 0; v->o.ars && i < rows; i++) {
        eval_kind kind = v->row[i].kind;
        if (v->row[i].model || (kind != EVAL_RANDOM && kind != EVAL_DISTILLED))
            continue;
        copy_row(v, i, "plain")->views = EVAL_PLAIN;
        if (kind == EVAL_DISTILLED && own)
            copy_row(v, i, "views")->views = EVAL_AUGMENTED;
    }
}

static void other_epochs(eval *v)
{
    const char *select = v->o.select;
    bool both = !strcmp(select, "both"), last = !strcmp(select, "last");
    size_t rows = v->n_rows;

    for (size_t i = 0; last && i < rows; i++)
        if (v->row[i].kind != EVAL_CHANCE) {
            v->row[i].select = VLD_AT_LAST;
            name_add(&v->row[i], "@", "last");
        }
    for (size_t i = 0; both && i < rows; i++)
        if (v->row[i].kind != EVAL_CHANCE) {
            eval_row *r = copy_row(v, i, "last");
            r->select = VLD_AT_LAST;
            r->like = i + 1;
        }
    for (size_t i = 0; v->o.legacy_best && i < rows; i++)
        if (v->row[i].kind != EVAL_CHANCE) {
            eval_row *r = copy_row(v, i, "test-best");
            r->select = VLD_BY_TEST;
            r->like = i + 1;
        }
}

int eval_variant_rows(eval *v, vl_err *e)
{
    int rc = other_networks(v, e);

    if (rc)
        return rc;
    other_views(v);
    other_epochs(v);
    return VL_OK;
}

/* ---- what they are -------------------------------------------------------------------------------- */

void eval_more_notes(eval *v)
{
    const eval_options *o = &v->o;
    eval_lines *l = &v->notes;
    bool ablate = false;

    for (int a = 0; a < VLD_ABLATIONS; a++)
        ablate = ablate || o->ablate[a];
    if (o->n_coresets)
        eval_say(l,
                 "coresets: chosen by [u; v] of one student after %d epochs on all training data at rates "
                 "%.4g:%.4g (forgetting: by %d epochs, the least forgotten)",
                 VLD_WARM_EPOCHS, o->full_grid.rate[0][VLM_IMAGE], o->full_grid.rate[0][VLM_TEXT],
                 VLD_FORGETTING_EPOCHS);
    if (ablate)
        eval_say(
            l,
            "-no-PART: the set without what it learned there: similarity, the identity; rates, the grid of "
            "real pairs; text, the row of the nearest real caption; images, those it started from");
    for (size_t k = 0; k < o->n_transfer; k++)
        eval_say(
            l,
            "@%s: students of that network, %zu parameters, on the same sets; rates and epochs chosen anew",
            v->transfer[k].spec, v->transfer[k].n);
    if (o->ars)
        eval_say(l, "@plain: without views; @views: a set with the views of real pairs");
    if (strcmp(o->select, "validation"))
        eval_say(
            l, "@last: rates chosen on validation after the last epoch, which counts, whatever came before");
    if (o->legacy_best)
        eval_say(l, "@test-best: LEGACY, each student at whichever reading is best ON TEST, as published "
                    "evaluations did; not a fair number, and no conclusion rests on it");
    if (o->n_transfer || o->ars || ablate || o->legacy_best || !strcmp(o->select, "both"))
        eval_say(l, "rows behind @ and -no- start from the weights of the row that they are named after");
}
