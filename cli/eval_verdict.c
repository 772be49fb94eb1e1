/* SPDX-License-Identifier: MIT
 * eval_verdict.c -- what stands around the table: how it was made, and what it says. */
#include "cli/eval.h"
#include "formats/version.h"
#include "pipeline/blas.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void eval_say(eval_lines *l, const char *fmt, ...)
{
    va_list ap;

    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 32;
        void *p = vl_realloc(l->line, room, sizeof *l->line, NULL);
        if (!p) {
            l->failed = true;
            return;
        }
        l->line = p;
        l->room = room;
    }
    va_start(ap, fmt);
    vsnprintf(l->line[l->n++], sizeof *l->line, fmt, ap);
    va_end(ap);
}

/* ---- the protocol --------------------------------------------------------------------------------- */

static void say_students(eval *v, eval_lines *l)
{
    const vlm_model *m = &v->model;
    char real[VL_AUGMENT_TEXT], set[VL_AUGMENT_TEXT], images[64];

    vl_augment_text(&v->aug, real);
    vl_augment_text(&v->set_aug, set);
    eval_say(
        l,
        "vleval %s, protocol %s: students train %s from a fresh random start; no expert weight reaches a "
        "student",
        VL_VERSION, v->heads ? "heads" : "image",
        v->heads ? "a projection head on each side" : "image encoder and text head");
    snprintf(images, sizeof images, v->heads ? "image rows of %zu numbers (fixed)" : "images %zu x %zu",
             v->heads ? m->image_n : m->size, m->size);
    eval_say(l,
             "network %s: %s, text rows of %zu numbers (fixed), embeddings %zu, logits %g x cosine; %zu "
             "parameters, "
             "%.1f million multiply-adds a pair; float32, BLAS core %s",
             m->spec, images, m->text_dim, m->embed_dim, m->scale, m->n, m->macs * 1e-6, vl_blas_core());
    eval_say(l,
             "training: symmetric InfoNCE, SGD, constant rates, momentum %g, no weight decay, batch %zu%s, "
             "views %s (where rates are learned ones: %s), the last epoch counts",
             v->o.momentum, v->batch, v->batch > v->n ? " (cut to the set)" : "", real, set);
    eval_say(l,
             "starts: seed %" PRId64 "; students draw from streams with the top bit set, experts from "
             "streams 0 to 4095; no two students of the table share one, all grid points of a row do",
             v->o.common.seed);
}

static void say_choice(eval *v, eval_lines *l)
{
    const eval_options *o = &v->o;

    eval_say(l,
             "choice: on validation alone; each grid point trains one student on the row's first set, mean "
             "recall is read at %" PRId64 " lengths up to the most epochs (%" PRId64 ", full data %" PRId64
             "), the best (rates, epochs) is taken; divergence counts as 0",
             o->readings, o->epochs, o->full_epochs);
    eval_say(l,
             "test: read once a student, after its last epoch, by fresh students that trained with what was "
             "chosen");
    eval_say(l, "grid of real pairs (image:text): %s", o->grid.text);
    if (v->first < v->n_sets)
        eval_say(l, "grid of distilled sets: each set's learned rates times %s", o->multiples.text);
    if (o->full)
        eval_say(l, "grid of full data: %s", o->full_grid.text);
    if (o->initial || o->initial_rates)
        eval_say(l,
                 "initial: the real pairs, with the caption, that the sets called %s started from; "
                 "initial-rates: the same "
                 "with the learned rates, only the epochs chosen",
                 v->set[v->first].label);
    eval_say(l, "IR@k: a caption asks for its image; TR@k: an image asks for its caption; percent with a "
                "positive among the k best; equal captions are one caption, ties count against");
    eval_say(l,
             "mean: of the six; sd and 95 %% interval (Student t) over sets x students; seconds and GFLOP/s: "
             "one core's time, of all students of the row; bytes: of one set, real pairs as image files and "
             "captions, distilled ones as their shard");
}

static void say_data(eval_lines *l, const char *what, const eval_data *d)
{
    if (!d->n_ids)
        return;
    eval_say(l, "%s: %zu images, %zu captions, %zu of them distinct", what, d->d.n, d->d.n_caps,
             d->d.n_groups);
    for (int i = 0; i < d->n_ids; i++)
        eval_say(l, "  %s %s", d->id[i].kind, d->id[i].id);
}

static json_int_t count_of(const json_t *note, const char *name)
{
    return json_integer_value(json_object_get(note, name));
}

/* What --skip-bad left out, an input a line: the numbers below are of what was left. */
static void say_losses(eval_lines *l, const json_t *all)
{
    json_t *note;
    size_t i;

    json_array_foreach ((json_t *)all, i, note) {
        const char *role = json_string_value(json_object_get(note, "role"));
        if (json_object_get(note, "left_out"))
            eval_say(l, "%s: %" JSON_INTEGER_FORMAT " records left out that are not whole", role,
                     count_of(note, "left_out"));
        else
            eval_say(l,
                     "%s: a damaged shard; %" JSON_INTEGER_FORMAT
                     " bad frames left out, at least %" JSON_INTEGER_FORMAT
                     " records lost, %" JSON_INTEGER_FORMAT " segments without their ends",
                     role, count_of(note, "bad_frames"), count_of(note, "lost_records"),
                     count_of(note, "lost_tails"));
    }
}

void eval_notes(eval *v)
{
    eval_lines *l = &v->notes;

    say_students(v, l);
    say_choice(v, l);
    eval_more_notes(v);
    if (v->recipe_json)
        eval_say(l, "recipe %s (SHA-256 of its canonical JSON)", v->recipe);
    say_data(l, "train", &v->train);
    say_data(l, "validation", &v->val);
    say_data(l, "test", &v->test);
    for (size_t i = 0; i < v->n_sets; i++) {
        const eval_set *s = &v->set[i];
        if (!s->distilled) {
            say_data(l, s->label, &s->data);
            continue;
        }
        eval_say(l, "%s: distilled, %zu pairs, learned rates %.4g:%.4g", s->label, s->set.set.n,
                 s->set.set.rate[VLM_IMAGE], s->set.set.rate[VLM_TEXT]);
        if (s->set.objective.loss != VLM_INFONCE)
            eval_say(l, "  its students go down %s, similarity %s, as it was distilled",
                     vld_loss_name[s->set.objective.loss], vld_sim_name[s->set.objective.sim]);
        eval_say(l, "  %s %s", s->id.kind, s->id.id);
    }
    say_losses(l, v->losses.all);
}

/* ---- what the rows say together ------------------------------------------------------------------- */

static bool is_real(const eval_row *r)
{
    return r->kind == EVAL_RANDOM || r->kind == EVAL_SELECTED || r->kind == EVAL_INITIAL ||
           r->kind == EVAL_INITIAL_RATES || r->kind == EVAL_CORESET;
}

/* The row of this kind that r may be compared with; NULL: none. */
static const eval_row *row_of(const eval *v, const eval_row *r, eval_kind kind)
{
    for (size_t i = 0; i < v->n_rows; i++)
        if (v->row[i].kind == kind && eval_comparable(r, &v->row[i]))
            return &v->row[i];
    return NULL;
}

static const eval_row *best_real(const eval *v, const eval_row *r)
{
    const eval_row *best = NULL;

    for (size_t i = 0; i < v->n_rows; i++)
        if (is_real(&v->row[i]) && eval_comparable(r, &v->row[i]) &&
            (!best || v->row[i].stats.mean.mean > best->stats.mean.mean))
            best = &v->row[i];
    return best;
}

static void say_ratio(eval_lines *l, const eval_row *a, const eval_row *b)
{
    vld_comparison c = vld_compare(&a->stats.mean, &b->stats.mean);
    char interval[64] = "no interval";

    if (isfinite(c.low))
        snprintf(interval, sizeof interval, "95 %% %.2f to %.2f", c.low, c.high);
    if (isfinite(c.ratio))
        eval_say(l, "%s / %s: %.2f (%s), intervals apart: %s", a->name, b->name, c.ratio, interval,
                 c.apart ? "yes" : "no");
    else
        eval_say(l, "%s / %s: no ratio, a mean is 0", a->name, b->name);
}

static void say_best(eval_lines *l, const eval_row *a, const eval_row *best)
{
    vld_comparison c = vld_compare(&a->stats.mean, &best->stats.mean);
    double x = a->stats.mean.mean, y = best->stats.mean.mean;

    if (!c.above)
        eval_say(l, "%s does not beat the best row of real pairs, %s: %.2f against %.2f", a->name, best->name,
                 x, y);
    else if (!c.apart)
        eval_say(l,
                 "%s is above the best row of real pairs, %s, by its mean only: %.2f against %.2f, the 95 %% "
                 "intervals meet",
                 a->name, best->name, x, y);
    else
        eval_say(l, "%s beats the best row of real pairs, %s: %.2f against %.2f, 95 %% intervals apart",
                 a->name, best->name, x, y);
}

/* What an ablated row keeps of the whole one. */
static void say_kept(const eval *v, eval_lines *l, const eval_row *r)
{
    for (size_t i = 0; i < v->n_rows; i++) {
        const eval_row *whole = &v->row[i];
        if (whole->kind == EVAL_DISTILLED && whole->set_number == r->set_number && whole->model == r->model &&
            whole->select == r->select && whole->views == r->views)
            say_ratio(l, r, whole);
    }
}

static void say_distilled(const eval *v, eval_lines *l, const eval_row *r)
{
    const eval_row *full = row_of(v, r, EVAL_FULL), *best = best_real(v, r);

    for (size_t k = 0; k < v->n_rows; k++)
        if (is_real(&v->row[k]) && eval_comparable(r, &v->row[k]))
            say_ratio(l, r, &v->row[k]);
    if (best)
        say_best(l, r, best);
    if (full && full->stats.mean.mean > 0)
        eval_say(l, "%s reaches %.0f %% of full data (%zu pairs)", r->name,
                 100 * r->stats.mean.mean / full->stats.mean.mean, full->n);
}

static void say_troubles(eval_lines *l, const eval_row *r)
{
    const vld_row_stats *s = &r->stats;
    const vld_outcome *o = r->out;

    for (size_t i = 0; i < o->n_points && !o->shared; i++)
        if (o->point[i].diverged)
            eval_say(l, "%s: grid point %.4g:%.4g diverged; validation recall counted as 0", r->name,
                     r->grid->rate[i][VLM_IMAGE], r->grid->rate[i][VLM_TEXT]);
    if (s->points_diverged == o->n_points)
        eval_say(l, "%s: every grid point diverged; nothing was chosen by merit", r->name);
    if (s->diverged)
        eval_say(l, "%s: %zu of %zu students diverged; test recall counted as 0", r->name, s->diverged,
                 o->n_students);
    if (o->epochs == r->task.epochs && r->select == VLD_BY_VALIDATION)
        eval_say(l, "%s: the most epochs that were tried (%d) were chosen; more may be better", r->name,
                 o->epochs);
}

void eval_verdict(eval *v)
{
    eval_lines *l = &v->verdict;
    size_t students = 0;

    for (size_t i = 0; i < v->n_rows; i++) {
        const eval_row *r = &v->row[i];
        const eval_row *random = row_of(v, r, EVAL_RANDOM);
        if (r->select == VLD_BY_TEST)
            continue; /* no conclusion rests on these */
        if (random && (r->kind == EVAL_SELECTED || r->kind == EVAL_CORESET))
            say_ratio(l, r, random);
        if (r->kind == EVAL_ABLATED)
            say_kept(v, l, r);
        if (r->kind == EVAL_DISTILLED)
            say_distilled(v, l, r);
    }
    for (size_t i = 0; i < v->n_rows; i++)
        if (v->row[i].kind != EVAL_CHANCE) {
            say_troubles(l, &v->row[i]);
            students += (v->row[i].out->shared ? 0 : v->row[i].out->n_points) + v->row[i].out->n_students;
        }
    if (students)
        eval_say(l, "%zu students in %.1f s, %d at a time, %.1f GFLOP/s together, peak memory %.0f MiB",
                 students, v->seconds, (int)v->o.common.threads, v->flops / v->seconds * 1e-9,
                 (double)v->peak / 1048576);
}
