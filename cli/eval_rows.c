/* SPDX-License-Identifier: MIT
 * eval_rows.c -- the rows of the table and what each has its students train on.
 *
 *   chance                                     computed, nobody trains
 *   random-N         draws of N real pairs     grid of rates
 *   LABEL-N          selected sets             grid of rates
 *   initial-N        pairs behind the first    grid of rates
 *   initial-rates-N  distilled row's sets      the learned rates as they are
 *   LABEL-N          distilled sets            multiples of each set's learned rates
 *   full             all training data         a grid and a number of epochs of its own
 *
 * Sets with one label are draws of one row. */
#include "cli/eval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

static const eval_grid as_learned = {.rate = {{1, 1}}, .n = 1, .text = "1:1"};

const char *eval_kind_name(eval_kind k)
{
    static const char *const name[] = {"chance",    "random",  "selected", "initial", "initial-rates",
                                       "distilled", "ablated", "coreset",  "full"};

    return name[k];
}

eval_row *eval_row_new(eval *v, eval_kind kind, const char *label, const eval_grid *grid)
{
    eval_row *r = &v->row[v->n_rows++];
    char tail[24];
    size_t len = strlen(label), n_tail = (size_t)snprintf(tail, sizeof tail, "-%zu", v->n);

    r->kind = kind;
    r->n = kind == EVAL_CHANCE ? 0 : kind == EVAL_FULL ? v->train.d.n : v->n;
    r->grid = grid;
    if (kind == EVAL_CHANCE || kind == EVAL_FULL || (len > n_tail && !strcmp(label + len - n_tail, tail)))
        tail[0] = 0;
    snprintf(r->name, sizeof r->name, "%.64s%s", label, tail);
    snprintf(r->stream, sizeof r->stream, "%s", eval_kind_name(kind));
    return r;
}

int eval_row_draws(eval_row *r, size_t n, vl_err *e)
{
    r->draw = vl_alloc(n, sizeof *r->draw, e);
    r->n_draws = n;
    for (size_t i = 0; r->draw && i < n; i++)
        r->draw[i].base[VLM_IMAGE] = r->draw[i].base[VLM_TEXT] = 1;
    return r->draw ? VL_OK : VL_ENOMEM;
}

static int64_t students_of(const eval_options *o, eval_kind kind)
{
    if (kind == EVAL_RANDOM && o->random_students)
        return o->random_students;
    if (kind == EVAL_FULL && o->full_students)
        return o->full_students;
    return o->students;
}

static vl_augment views_of(const eval *v, const eval_row *r)
{
    bool learned = r->kind == EVAL_DISTILLED || r->kind == EVAL_INITIAL_RATES || r->kind == EVAL_ABLATED;

    if (r->views == EVAL_PLAIN)
        return (vl_augment){0};
    return learned && r->views == EVAL_AS_EVER ? v->set_aug : v->aug;
}

static void row_task(const eval *v, eval_row *r)
{
    const eval_options *o = &v->o;
    bool full = r->kind == EVAL_FULL;

    r->task = (vld_task){.model = r->model,
                         .select = r->select,
                         .shares = r->like ? (size_t)(r - v->row) - (r->like - 1) : 0,
                         .stream = r->stream,
                         .draw = r->draw,
                         .n_draws = r->n_draws,
                         .grid = r->grid->rate,
                         .n_grid = r->grid->n,
                         .epochs = (int)(full ? o->full_epochs : o->epochs),
                         .readings = (int)o->readings,
                         .batch = full && o->full_batch   ? (size_t)o->full_batch
                                  : r->batch && !o->batch ? r->batch
                                                          : v->batch,
                         .aug = views_of(v, r),
                         .objective = r->objective,
                         .momentum = o->momentum,
                         .students = (int)students_of(o, r->kind)};
}

/* ---- the kinds ------------------------------------------------------------------------------------ */

static int add_chance(eval *v, vl_err *e)
{
    eval_row *r = eval_row_new(v, EVAL_CHANCE, "chance", NULL);
    vld_recall test, valid;
    int rc = vld_recall_chance(&v->test.d, &test, e);

    if (!rc)
        rc = vld_recall_chance(&v->val.d, &valid, e);
    if (rc)
        return rc;
    r->stats.mean = vld_summarise(&test.mean, 1);
    memcpy(r->stats.ir, test.ir, sizeof test.ir);
    memcpy(r->stats.tr, test.tr, sizeof test.tr);
    r->stats.valid = valid.mean;
    return VL_OK;
}

static int add_random(eval *v, vl_err *e)
{
    eval_row *r = eval_row_new(v, EVAL_RANDOM, "random", &v->o.grid);
    size_t draws = (size_t)v->o.draws;
    int rc = eval_row_draws(r, draws, e);

    if (rc)
        return rc;
    r->rows = vl_alloc(draws, v->n * sizeof *r->rows, e);
    if (!r->rows)
        return VL_ENOMEM;
    rc = vld_control_random(&v->train.d, v->n, draws, (uint64_t)v->o.common.seed, r->rows, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < draws; i++)
        r->draw[i].source = (vld_source){&v->train.d, r->rows + i * v->n, v->n, NULL};
    r->bytes = vld_control_bytes(&v->train.d, r->rows, draws * v->n) / draws;
    return VL_OK;
}

static int add_full(eval *v, vl_err *e)
{
    eval_row *r = eval_row_new(v, EVAL_FULL, "full", &v->o.full_grid);
    int rc = eval_row_draws(r, 1, e);

    if (rc)
        return rc;
    r->draw[0].source.data = &v->train.d;
    r->bytes = vld_control_bytes(&v->train.d, NULL, 0);
    return VL_OK;
}

/* The row's students go down the loss that its distilled sets were made for; inputs are not mixed. */
static int row_objective(eval_row *r, const eval_set *s, vl_err *e)
{
    vlm_objective o = s->set.objective;

    o.blend = 0;
    r->batch = r->batch ? r->batch : s->set.batch;
    if (r->batch != s->set.batch)
        return vl_fail(e, VL_EARG, "%s: a batch of %zu, the sets before it under one label have %zu",
                       s->path[0], s->set.batch, r->batch);
    if (r->objective.loss == o.loss && r->objective.sim == o.sim && r->objective.rank == o.rank &&
        r->objective.alpha == o.alpha)
        return VL_OK;
    if (r->objective.loss != VLM_INFONCE || r->draw[0].source.set)
        return vl_fail(e, VL_EARG, "%s: another loss or similarity than the sets before it under one label",
                       s->path[0]);
    r->objective = o;
    return VL_OK;
}

/* Operand i begins a row when no earlier one of its kind has its label. */
static bool begins_row(const eval *v, size_t i, bool distilled)
{
    if (v->set[i].distilled != distilled)
        return false;
    for (size_t k = 0; k < i; k++)
        if (v->set[k].distilled == distilled && !strcmp(v->set[k].label, v->set[i].label))
            return false;
    return true;
}

static size_t count_label(const eval *v, size_t first)
{
    size_t n = 0;

    for (size_t i = first; i < v->n_sets; i++)
        n += v->set[i].distilled == v->set[first].distilled && !strcmp(v->set[i].label, v->set[first].label);
    return n;
}

/* The next operand from *i on that is in the row which operand `first` began. */
static const eval_set *next_of(const eval *v, size_t first, size_t *i)
{
    while (v->set[*i].distilled != v->set[first].distilled || strcmp(v->set[*i].label, v->set[first].label))
        ++*i;
    return &v->set[(*i)++];
}

/* The random numbers hang on which pairs these are, not on files: names, carriers, neighbours. */
static void name_stream(const eval_set *s, eval_row *r)
{
    uint64_t h = 0;

    for (size_t i = 0; i < s->data.d.n; i++)
        h = XXH64(s->data.d.key[i], strlen(s->data.d.key[i]) + 1, h);
    if (s->distilled)
        snprintf(r->stream, sizeof r->stream, "distilled %s", s->id.id);
    else
        snprintf(r->stream, sizeof r->stream, "selected %016" PRIx64, h);
}

static int add_sets(eval *v, size_t first, vl_err *e)
{
    const eval_set *s = &v->set[first];
    eval_row *r = eval_row_new(v, s->distilled ? EVAL_DISTILLED : EVAL_SELECTED, s->label,
                               s->distilled ? &v->o.multiples : &v->o.grid);
    int rc = eval_row_draws(r, count_label(v, first), e);
    uint64_t bytes = 0;

    for (size_t k = 0, i = first; !rc && k < r->n_draws; k++) {
        s = next_of(v, first, &i);
        if (s->distilled) {
            rc = row_objective(r, s, e);
            r->draw[k].source.set = &s->set.set;
            memcpy(r->draw[k].base, s->set.set.rate, sizeof r->draw[k].base);
            bytes += s->file_bytes;
        } else {
            r->draw[k].source.data = &s->data.d;
            bytes += vld_control_bytes(&s->data.d, NULL, 0);
        }
    }
    name_stream(&v->set[first], r);
    r->set_number = first;
    r->bytes = bytes / r->n_draws;
    return rc;
}

/* The set's learned parameters, around the real pairs it started from. */
static int take_learned(eval_row *r, size_t k, const eval_set *s, vl_err *e)
{
    int rc = row_objective(r, s, e);

    if (rc)
        return rc;
    memcpy(r->draw[k].base, s->set.set.rate, sizeof r->draw[k].base);
    return vld_set_copy_similarity(&s->set.model, &s->set.objective, &s->set.set, &r->set[k], e);
}

static int add_initial(eval *v, bool learned, vl_err *e)
{
    eval_row *r = eval_row_new(v, learned ? EVAL_INITIAL_RATES : EVAL_INITIAL,
                               learned ? "initial-rates" : "initial", learned ? &as_learned : &v->o.grid);
    uint32_t *rows = vl_alloc(v->n, sizeof *rows, e);
    uint64_t bytes = 0;
    int rc = rows ? eval_row_draws(r, count_label(v, v->first), e) : VL_ENOMEM;

    r->set = rc ? NULL : vl_alloc(r->n_draws, sizeof *r->set, e);
    if (!r->set)
        rc = VL_ENOMEM;
    for (size_t k = 0, i = v->first; !rc && k < r->n_draws; k++) {
        const eval_set *s = next_of(v, v->first, &i);
        rc = vld_control_initial(&v->train.d, &s->set, rows, &r->set[k], e);
        if (rc) {
            vl_within(e, "%s", s->path[0]);
            break;
        }
        if (learned)
            rc = take_learned(r, k, s, e);
        if (rc)
            break;
        r->draw[k].source.set = &r->set[k];
        bytes += vld_control_bytes(&v->train.d, rows, v->n);
    }
    free(rows);
    r->bytes = rc ? 0 : bytes / r->n_draws;
    return rc;
}

/* ---- all of them ---------------------------------------------------------------------------------- */

static int add_operands(eval *v, bool distilled, vl_err *e)
{
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < v->n_sets; i++)
        if (begins_row(v, i, distilled))
            rc = add_sets(v, i, e);
    return rc;
}

/* Names are what rows are told apart by. */
static int check_names(const eval *v, vl_err *e)
{
    for (size_t i = 0; i < v->n_rows; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(v->row[i].name, v->row[k].name))
                return vl_fail(e, VL_EARG, "two rows would be called '%s': give a set another label, NAME=%s",
                               v->row[i].name, v->set[0].path[0]);
    return VL_OK;
}

int eval_rows(eval *v, vl_err *e)
{
    const eval_options *o = &v->o;
    int rc = VL_OK;

    v->row = vl_alloc(eval_more_room(v, v->n_sets + 5), sizeof *v->row, e);
    if (!v->row)
        return VL_ENOMEM;
    if (o->chance)
        rc = add_chance(v, e);
    if (!rc && o->random)
        rc = add_random(v, e);
    if (!rc)
        rc = eval_coreset_rows(v, e);
    if (!rc)
        rc = add_operands(v, false, e);
    if (!rc && o->initial)
        rc = add_initial(v, false, e);
    if (!rc && o->initial_rates)
        rc = add_initial(v, true, e);
    if (!rc)
        rc = add_operands(v, true, e);
    if (!rc)
        rc = eval_ablated_rows(v, e);
    if (!rc && o->full)
        rc = add_full(v, e);
    if (!rc)
        rc = eval_variant_rows(v, e);
    if (!rc)
        rc = check_names(v, e);
    if (!rc && !v->n_rows)
        rc = vl_fail(e, VL_EARG, "nothing to measure: no set and no control");
    if (rc)
        return rc;
    v->n_tasks = v->n_rows - o->chance;
    v->task = vl_alloc(v->n_tasks, sizeof *v->task, e);
    v->out = v->task ? vl_alloc(v->n_tasks, sizeof *v->out, e) : NULL;
    if (!v->out)
        return VL_ENOMEM;
    for (size_t i = 0, k = 0; i < v->n_rows; i++) {
        if (v->row[i].kind == EVAL_CHANCE)
            continue;
        row_task(v, &v->row[i]);
        v->row[i].out = &v->out[k];
        v->task[k++] = v->row[i].task;
    }
    return VL_OK;
}

void eval_rows_done(eval *v)
{
    struct rusage use;

    for (size_t i = 0; i < v->n_rows; i++)
        if (v->row[i].kind != EVAL_CHANCE) {
            v->row[i].stats = vld_outcome_stats(v->row[i].out);
            v->flops += v->row[i].stats.flops;
        }
    eval_gains(v);
    if (!getrusage(RUSAGE_SELF, &use))
        v->peak = (uint64_t)use.ru_maxrss * 1024;
}
