/* SPDX-License-Identifier: MIT
 * eval_json.c -- everything as one JSON object: protocol, inputs, rows with every grid point's validation
 * readings and every student's numbers and losses, conclusions. */
#include "cli/eval.h"
#include "cli/json_text.h"
#include "distill/card.h"
#include "formats/version.h"
#include "pipeline/blas.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* NULL all the way up is running out of memory: json_pack and the set functions pass it on. */

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *reals(const double *x, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(a, real(x[i]))) {
            json_decref(a);
            return NULL;
        }
    return a;
}

static json_t *lines(const eval_lines *l)
{
    json_t *a = json_array();

    for (size_t i = 0; i < l->n; i++)
        if (json_array_append_new(a, cli_json_text(l->line[i]))) {
            json_decref(a);
            return NULL;
        }
    return a;
}

static json_t *recall(const vld_recall *r)
{
    return json_pack("{s:o, s:o, s:o}", "ir", reals(r->ir, VLD_N_K), "tr", reals(r->tr, VLD_N_K), "mean",
                     real(r->mean));
}

static json_t *interval(double low, double high)
{
    return json_pack("[o,o]", real(low), real(high));
}

static json_t *gauges(const vld_gauges *g)
{
    return json_pack("{s:o, s:o, s:o}", "image_cosine", real(g->image_cosine), "text_cosine",
                     real(g->text_cosine), "modality_gap", real(g->gap));
}

static json_t *grid_json(const eval_row *r)
{
    const vld_outcome *o = r->out;
    json_t *a = json_array();

    for (size_t i = 0; i < o->n_points; i++) {
        const vld_point *p = &o->point[i];
        if (json_array_append_new(a, json_pack("{s:o, s:b, s:o, s:o, s:o}", "grid",
                                               reals(r->grid->rate[i], VLM_BRANCHES), "diverged", p->diverged,
                                               "validation", reals(p->valid, (size_t)o->n_readings),
                                               "loss_nats", reals(p->loss, (size_t)r->task.epochs), "seconds",
                                               real(p->seconds)))) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *students_json(const eval_row *r)
{
    const vld_outcome *o = r->out;
    json_t *a = json_array();

    for (size_t i = 0; i < o->n_students; i++) {
        const vld_student *s = &o->student[i];
        if (json_array_append_new(
                a, json_pack("{s:I, s:i, s:o, s:b, s:i, s:o, s:o, s:o, s:o, s:o}", "set", (json_int_t)s->draw,
                             "student", s->number, "rates", reals(s->rate, VLM_BRANCHES), "diverged",
                             s->diverged, "epoch", s->epoch, "validation", recall(&s->valid), "test",
                             recall(&s->test), "gauges", gauges(&s->gauges), "loss_nats",
                             reals(s->loss, (size_t)o->epochs), "seconds", real(s->seconds)))) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *readings_json(const vld_outcome *o)
{
    json_t *a = json_array();

    for (int i = 0; i < o->n_readings; i++)
        if (json_array_append_new(a, json_integer(o->at[i]))) {
            json_decref(a);
            return NULL;
        }
    return a;
}

static json_t *gain_json(const eval_row *r)
{
    static const char *const select[] = {"validation", "last", "test"};
    const eval_gain *g = &r->gain;

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:s?, s:s?}", "ior", real(g->ior.value),
                     "ior_interval95", interval(g->ior.low, g->ior.high), "percent_of_full", real(g->of_full),
                     "lrs", real(g->lrs), "ars", real(g->ars), "query_interval95",
                     interval(r->stats.query_low, r->stats.query_high), "gauges", gauges(&r->stats.gauges),
                     "epochs_chosen_on", select[r->select], "legacy_best", r->select == VLD_BY_TEST,
                     "network", r->model ? r->model->spec : NULL, "without",
                     r->kind == EVAL_ABLATED ? vld_ablation_name[r->without] : NULL);
}

static json_t *row_json(const eval_row *r)
{
    const vld_row_stats *s = &r->stats;
    json_t *j = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", r->name, "kind",
                          eval_kind_name(r->kind), "pairs", (json_int_t)r->n, "ir", reals(s->ir, VLD_N_K),
                          "tr", reals(s->tr, VLD_N_K), "mean", real(s->mean.mean), "sd", real(s->mean.sd),
                          "interval95", interval(s->mean.low, s->mean.high), "validation", real(s->valid),
                          "bytes", r->bytes ? json_integer((json_int_t)r->bytes) : json_null());
    json_t *more, *gain;

    if (!j || r->kind == EVAL_CHANCE)
        return j;
    more = json_pack("{s:I, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "sets",
                     (json_int_t)r->n_draws, "students_per_set", r->task.students, "epochs", r->out->epochs,
                     "best_grid_point", (json_int_t)r->out->best, "best_validation", real(r->out->best_valid),
                     "readings_at_epochs", readings_json(r->out), "grid_points", grid_json(r), "students",
                     students_json(r), "seconds", real(s->seconds), "gflops",
                     real(s->flops / s->seconds * 1e-9), "batch", (json_int_t)r->task.batch);
    gain = gain_json(r);
    if (!more || !gain || json_object_update(j, more) || json_object_update(j, gain)) {
        json_decref(j);
        j = NULL;
    }
    json_decref(gain);
    json_decref(more);
    return j;
}

static json_t *rows_json(const eval *v)
{
    json_t *a = json_array();

    for (size_t i = 0; i < v->n_rows; i++)
        if (json_array_append_new(a, row_json(&v->row[i]))) {
            json_decref(a);
            return NULL;
        }
    return a;
}

/* One input shard into list. */
static int add_input(json_t *list, const char *role, const vls_parent *id)
{
    return json_array_append_new(list,
                                 json_pack("{s:s, s:s, s:s}", "role", role, "kind", id->kind, "id", id->id));
}

static json_t *inputs_json(const eval *v)
{
    const struct {
        const char *role;
        const eval_data *d;
    } data[] = {{"train", &v->train}, {"validation", &v->val}, {"test", &v->test}};
    json_t *a = json_array();
    int bad = !a;

    for (int i = 0; i < 3; i++)
        for (int k = 0; k < data[i].d->n_ids; k++)
            bad |= add_input(a, data[i].role, &data[i].d->id[k]);
    for (size_t i = 0; i < v->n_sets; i++) {
        const eval_set *s = &v->set[i];
        if (s->distilled)
            bad |= add_input(a, s->label, &s->id);
        for (int k = 0; k < s->data.n_ids; k++)
            bad |= add_input(a, s->label, &s->data.id[k]);
    }
    if (bad) {
        json_decref(a);
        return NULL;
    }
    return a;
}

static json_t *protocol_json(const eval *v, vl_err *e)
{
    json_t *model = NULL, *aug = NULL, *set_aug = NULL;

    if (vld_model_to_json(&v->model, &model, e) || vld_augment_to_json(&v->aug, &aug, e) ||
        vld_augment_to_json(&v->set_aug, &set_aug, e)) {
        json_decref(model);
        json_decref(aug);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:f, s:s, s:s, s:s, s:I, s:s, s:o}", "scope", "image",
                     "model", model, "augment", aug, "augment_of_set", set_aug, "batch", (json_int_t)v->batch,
                     "pairs", (json_int_t)v->n, "momentum", v->o.momentum, "grid", v->o.grid.text,
                     "multiples_of_learned_rates", v->o.multiples.text, "full_grid", v->o.full_grid.text,
                     "seed", (json_int_t)v->o.common.seed, "blas", vl_blas_core(), "notes", lines(&v->notes));
}

int eval_json(const eval *v, char **text, size_t *n, vl_err *e)
{
    json_t *j =
        json_pack("{s:{s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "tool", "name", "vleval", "version",
                  VL_VERSION, "protocol", protocol_json(v, e), "inputs", inputs_json(v), "rows", rows_json(v),
                  "conclusions", lines(&v->verdict), "seconds", real(v->seconds), "gflops",
                  real(v->flops / v->seconds * 1e-9), "peak_memory_bytes", (json_int_t)v->peak);

    if (j && v->losses.all && json_object_set(j, "input_loss", v->losses.all)) {
        json_decref(j);
        j = NULL;
    }
    if (j && v->recipe_json &&
        json_object_set_new(j, "recipe",
                            json_pack("{s:s, s:O}", "sha256", v->recipe, "canonical", v->recipe_json))) {
        json_decref(j);
        j = NULL;
    }
    *text = j ? json_dumps(j, JSON_INDENT(1) | JSON_SORT_KEYS | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(j);
    if (!*text)
        return vl_fail(e, VL_ENOMEM, "out of memory: JSON");
    *n = strlen(*text);
    (*text)[(*n)++] = '\n'; /* in place of the final zero */
    return VL_OK;
}
