/* SPDX-License-Identifier: MIT */
#include "cli/choice.h"
#include "formats/outfile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const joints[] = {"auto", "image", "text", "sum", "concat"}; /* as vld_joint */

static bool by_score(const cli_choice *c)
{
    return c->method->by == VLD_BY_COSINE || c->method->by == VLD_BY_SCORE;
}

int cli_choice_look(cli_choice *c, const vls_record *rec, const json_t *manifest, size_t number, vl_err *e)
{
    if (by_score(c))
        return vld_scores_add(&c->scores, rec, manifest, number, e);
    return c->method->needs_features ? vld_features_add(&c->features, rec, manifest, number, e) : VL_OK;
}

/* ---- choosing ------------------------------------------------------------------------------------- */

static int by_features(cli_choice *c, const uint32_t *order, size_t n_records, char *const *key,
                       uint32_t *out, vl_err *e)
{
    vl_real *x = NULL;
    vl_pool *pool = NULL;
    size_t dim = 0;
    int rc = vld_features_join(&c->features, &c->joint, order, n_records, key, &x, &dim, e);

    if (!rc)
        rc = vl_pool_new(c->threads, &pool, e);
    if (!rc && c->method->fn == vld_select_density) {
        if (!c->clusters)
            c->clusters = vld_density_clusters(n_records, c->n);
        rc = vld_select_density_k(x, n_records, dim, c->seed, pool, c->clusters, c->n, out, e);
    } else if (!rc) {
        rc = c->method->fn(x, n_records, dim, c->seed, pool, c->n, out, e);
    }
    vl_pool_free(pool);
    free(x);
    return rc;
}

static int by_scores(cli_choice *c, const uint32_t *order, size_t n_records, char *const *key, uint32_t *out,
                     vl_err *e)
{
    double best = NAN;
    int rc;

    if (!(c->score = vl_alloc(n_records, sizeof *c->score, e)))
        return VL_ENOMEM;
    rc = vld_scores_take(&c->scores, order, n_records, key, c->score, e);
    if (rc)
        return rc;
    if (isnan(c->threshold))
        return vld_select_best(c->score, n_records, c->least, c->seed, c->n, out, e);
    c->n = vld_select_reach(c->score, n_records, c->least, c->threshold, out);
    for (size_t i = 0; i < n_records; i++)
        best = c->least ? fmin(best, c->score[i]) : fmax(best, c->score[i]);
    return c->n ? VL_OK
                : vl_fail(e, VL_EFORMAT, "no score is %g or %s, the %s is %g", c->threshold,
                          c->least ? "less" : "more", c->least ? "least" : "greatest", best);
}

static void mark(cli_choice *c, const uint32_t *out)
{
    for (size_t i = 0; i < c->n; i++)
        c->chosen[out[i]] = 1;
}

int cli_choice_make(cli_choice *c, const uint32_t *order, size_t n_records, char *const *key, vl_err *e)
{
    uint32_t *out = vl_alloc(n_records, sizeof *out, e);
    int rc = out && (c->chosen = vl_alloc(n_records, 1, e)) ? VL_OK : VL_ENOMEM;

    if (!rc && c->n > n_records)
        rc = vl_fail(e, VL_EFORMAT, "%zu records asked for, there are %zu", c->n, n_records);
    if (!rc && c->method->needs_features)
        rc = by_features(c, order, n_records, key, out, e);
    else if (!rc && by_score(c))
        rc = by_scores(c, order, n_records, key, out, e);
    else if (!rc && c->method->fn)
        rc = c->method->fn(NULL, n_records, 0, c->seed, NULL, c->n, out, e);
    for (uint64_t i = 0; !rc && i < c->epochs; i++) {
        rc = vld_select_rs2(n_records, c->seed, c->epoch + i, c->n, out, e);
        if (!rc)
            mark(c, out);
    }
    if (!rc && !c->epochs)
        mark(c, out);
    for (size_t i = 0; !rc && i < n_records; i++)
        c->kept += c->chosen[i];
    free(out);
    return rc;
}

/* ---- telling -------------------------------------------------------------------------------------- */

static int set_sides(const cli_choice *c, json_t *step)
{
    const char *image = c->method->needs_features ? c->features.image.ext : c->scores.image.ext;
    const char *text = c->method->needs_features ? c->features.text.ext : c->scores.text.ext;

    return (c->joint != VLD_TEXT && json_object_set_new(step, "image", json_string(image))) ||
           (c->joint != VLD_IMAGE && json_object_set_new(step, "text", json_string(text)));
}

json_t *cli_choice_step(const cli_choice *c)
{
    json_t *step = json_pack("{s:s}", "method", c->method->name);
    int bad = !step;

    if (!bad && isnan(c->threshold))
        bad = json_object_set_new(step, "n", json_integer((json_int_t)c->n));
    else if (!bad)
        bad = json_object_set_new(step, "threshold", json_real(c->threshold));
    if (!bad && isnan(c->threshold))
        bad = json_object_set_new(step, "seed", json_integer((json_int_t)c->seed));
    if (!bad && by_score(c))
        bad = json_object_set_new(step, "keep", json_string(c->least ? "least" : "most"));
    if (!bad && c->scores.member)
        bad = json_object_set_new(step, "score", json_string(c->scores.member));
    if (!bad && c->method->needs_features)
        bad = json_object_set_new(step, "joint", json_string(joints[c->joint]));
    if (!bad && (c->method->needs_features || c->method->by == VLD_BY_COSINE))
        bad = set_sides(c, step);
    if (!bad && c->clusters)
        bad = json_object_set_new(step, "clusters", json_integer((json_int_t)c->clusters));
    if (!bad && c->epochs)
        bad = json_object_set_new(step, "epoch", json_integer((json_int_t)c->epoch)) ||
              json_object_set_new(step, "epochs", json_integer((json_int_t)c->epochs));
    if (!bad)
        return step;
    json_decref(step);
    return NULL;
}

static int write_line(const cli_choice *c, vl_outfile *f, uint64_t epoch, const char *key, size_t at,
                      vl_err *e)
{
    char number[24], score[40] = "-";
    int rc;

    snprintf(number, sizeof number, "%" PRIu64 "\t", epoch);
    if (c->score)
        snprintf(score, sizeof score, "%.9g", c->score[at]);
    rc = vl_outfile_write(f, number, strlen(number), e);
    if (!rc)
        rc = vl_outfile_write(f, key, strlen(key), e);
    if (!rc)
        rc = vl_outfile_write(f, "\t", 1, e);
    if (!rc)
        rc = vl_outfile_write(f, score, strlen(score), e);
    return rc ? rc : vl_outfile_write(f, "\n", 1, e);
}

static int list_epochs(const cli_choice *c, vl_outfile *f, const uint32_t *order, size_t n_records,
                       char *const *key, vl_err *e)
{
    uint32_t *out = vl_alloc(c->n, sizeof *out, e);
    int rc = out ? VL_OK : VL_ENOMEM;

    for (uint64_t epoch = c->epoch; !rc && epoch < c->epoch + c->epochs; epoch++) {
        rc = vld_select_rs2(n_records, c->seed, epoch, c->n, out, e);
        for (size_t i = 0; !rc && i < c->n; i++)
            rc = write_line(c, f, epoch, key[order[out[i]]], out[i], e);
    }
    free(out);
    return rc;
}

int cli_choice_list(const cli_choice *c, const char *path, const uint32_t *order, size_t n_records,
                    char *const *key, vl_err *e)
{
    vl_outfile *f = NULL;
    int rc = vl_outfile_open(path, &f, e);

    if (!rc && c->epochs)
        rc = list_epochs(c, f, order, n_records, key, e);
    for (size_t i = 0; !rc && !c->epochs && i < n_records; i++)
        if (c->chosen[i])
            rc = write_line(c, f, 0, key[order[i]], i, e);
    if (!rc)
        return vl_outfile_commit(f, e);
    vl_outfile_abort(f);
    return rc;
}

void cli_choice_free(cli_choice *c)
{
    vld_features_free(&c->features);
    vld_scores_free(&c->scores);
    free(c->chosen);
    free(c->score);
}
