/* SPDX-License-Identifier: MIT
 * eval_track.c -- the recipe of a table: everything that determines its numbers, as one JSON object, and the
 * SHA-256 of its canonical text (keys sorted, no white space, reals with 17 digits). Two teams with one digest
 * ran the same thing. It holds content ids, never names of files; not in it is what changes no number: threads,
 * outputs, and the BLAS core, on which the last bits hang and which the notes name.
 *
 * Values are those that took effect, so an option given its default leaves the digest as it is. */
#include "cli/eval.h"
#include "distill/card.h"
#include "formats/version.h"

#include <stdlib.h>
#include <string.h>

enum { PROTOCOL = 1 /* goes up when equal recipes may give other numbers */ };

/* Out of memory, here or in what made x: the array is gone and *a NULL, which json_pack passes on. */
static void append(json_t **a, json_t *x)
{
    if (json_array_append_new(*a, x)) {
        json_decref(*a);
        *a = NULL;
    }
}

static json_t *ids_json(const vls_parent *id, int n)
{
    json_t *a = json_array();

    for (int i = 0; i < n; i++)
        append(&a, json_pack("[s,s]", id[i].kind, id[i].id));
    return a;
}

static json_t *set_json(const eval_set *s)
{
    const vl_data *d = &s->data.d;

    return s->distilled
               ? json_pack("{s:s, s:o}", "label", s->label, "ids", ids_json(&s->id, 1))
               : json_pack("{s:s, s:o, s:s?, s:s?}", "label", s->label, "ids",
                           ids_json(s->data.id, s->data.n_ids), "text", d->text_ext, "image", d->image_ext);
}

static json_t *grid_json(const eval_grid *g)
{
    json_t *a = json_array();

    for (size_t i = 0; i < g->n; i++)
        append(&a, json_pack("[f,f]", g->rate[i][VLM_IMAGE], g->rate[i][VLM_TEXT]));
    return a;
}

static json_t *objective_json(const vlm_objective *o)
{
    json_t *j = NULL;

    return vld_objective_to_json(o, &j, NULL) ? NULL : j;
}

/* row, with its views; NULL where memory is short, there or here. */
static json_t *with_views(json_t *row, const vl_augment *a)
{
    json_t *views = NULL;

    if (!row || vld_augment_to_json(a, &views, NULL) || json_object_update(row, views)) {
        json_decref(row);
        row = NULL;
    }
    json_decref(views);
    return row;
}

static json_t *row_json(const eval_row *r)
{
    const vld_task *t = &r->task;
    json_t *j;

    if (r->kind == EVAL_CHANCE)
        return json_pack("{s:s}", "name", r->name);
    j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:o, s:i, s:i, s:I, s:f, s:i, s:o, s:s}", "name", r->name,
                  "kind", eval_kind_name(r->kind), "stream", r->stream, "pairs", (json_int_t)r->n, "sets",
                  (json_int_t)r->n_draws, "students", t->students, "grid", grid_json(r->grid), "epochs",
                  t->epochs, "readings", t->readings, "batch", (json_int_t)t->batch, "momentum", t->momentum,
                  "select", (int)t->select, "objective", objective_json(&t->objective), "network",
                  r->model ? r->model->spec : "");
    return with_views(j, &t->aug);
}

static json_t *inputs_json(const eval *v)
{
    json_t *sets = json_array();

    for (size_t i = 0; i < v->n_sets; i++)
        append(&sets, set_json(&v->set[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:[s?,s?,s?], s:[s?,s?,s?], s:O?}", "train",
                     ids_json(v->train.id, v->train.n_ids), "validation", ids_json(v->val.id, v->val.n_ids),
                     "test", ids_json(v->test.id, v->test.n_ids), "sets", sets, "text", v->train.d.text_ext,
                     v->val.d.text_ext, v->test.d.text_ext, "image", v->train.d.image_ext, v->val.d.image_ext,
                     v->test.d.image_ext, "loss", v->losses.all);
}

int eval_track(eval *v, vl_err *e)
{
    json_t *model = NULL, *rows = json_array();
    vl_sha *sha = NULL;
    char *text = NULL;
    int rc = vld_model_to_json(&v->model, &model, e);

    for (size_t i = 0; i < v->n_rows; i++)
        append(&rows, row_json(&v->row[i]));
    if (!rc && !rows)
        rc = vl_fail(e, VL_ENOMEM, "out of memory: recipe");
    if (!rc) {
        v->recipe_json =
            json_pack("{s:s, s:s, s:i, s:I, s:I, s:O, s:o, s:O}", "tool", "vleval", "version", VL_VERSION,
                      "protocol", PROTOCOL, "seed", (json_int_t)v->o.common.seed, "resamples",
                      (json_int_t)VLD_RESAMPLES, "model", model, "inputs", inputs_json(v), "rows", rows);
        text = v->recipe_json
                   ? json_dumps(v->recipe_json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17))
                   : NULL;
        rc = text ? vl_sha_new(&sha, e) : vl_fail(e, VL_ENOMEM, "out of memory: recipe");
    }
    if (!rc)
        rc = vl_sha_add(sha, text, strlen(text), e);
    if (!rc)
        rc = vl_sha_hex(sha, v->recipe, e);
    vl_sha_free(sha);
    free(text);
    json_decref(rows);
    json_decref(model);
    return rc;
}
