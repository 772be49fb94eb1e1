/* SPDX-License-Identifier: MIT
 * eval_input.c -- operands and options of vleval to sets, data and grids. */
#include "cli/eval.h"
#include "pipeline/text_utf8.h"
#include "pipeline/vit_base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- lists in options ---------------------------------------------------------------------------- */

/* One rate: *s moves behind it. */
static bool rate_at(const char **s, double *out)
{
    char *end;

    if (!strchr("0123456789.", **s) || !**s)
        return false;
    *out = strtod(*s, &end);
    *s = end;
    return isfinite(*out) && *out > 0;
}

/* As it was meant: one number a point where the two rates of every point are the same. */
static void grid_text(eval_grid *g)
{
    bool same = true;
    size_t used = 0;

    for (size_t i = 0; i < g->n; i++)
        same = same && g->rate[i][VLM_IMAGE] == g->rate[i][VLM_TEXT];
    for (size_t i = 0; i < g->n && used < sizeof g->text; i++) {
        used += (size_t)snprintf(g->text + used, sizeof g->text - used, "%s%.4g", i ? " " : "",
                                 g->rate[i][VLM_IMAGE]);
        if (!same && used < sizeof g->text)
            used += (size_t)snprintf(g->text + used, sizeof g->text - used, ":%.4g", g->rate[i][VLM_TEXT]);
    }
}

int eval_grid_parse(const char *text, eval_grid *g, vl_err *e)
{
    const char *s = text;

    g->n = 0;
    for (;; s++) {
        double *r;
        if (g->n == VLD_MAX_GRID)
            return vl_fail(e, VL_EARG, "'%s': at most %d points", text, VLD_MAX_GRID);
        r = g->rate[g->n];
        if (!rate_at(&s, &r[VLM_IMAGE]))
            break;
        r[VLM_TEXT] = r[VLM_IMAGE];
        if (*s == ':' && (s++, !rate_at(&s, &r[VLM_TEXT])))
            break;
        g->n++;
        if (!*s) {
            grid_text(g);
            return VL_OK;
        }
        if (*s != ',')
            break;
    }
    return vl_fail(e, VL_EARG, "'%s': positive numbers IMAGE:TEXT with commas between them wanted", text);
}

/* ---- sets ----------------------------------------------------------------------------------------- */

/* "NAME=PATH[,PATH]"; without a name the first path's file name up to its first dot. */
static int set_parse(eval_set *s, const char *operand, vl_err *e)
{
    size_t room = strlen(operand) + 1;
    char *eq, *p;

    s->text = vl_alloc(2, room, e); /* twice: the paths, and a label taken from them */
    if (!s->text)
        return VL_ENOMEM;
    memcpy(s->text, operand, room);
    eq = strchr(s->text, '=');
    p = s->text;
    if (eq && eq > s->text && eq - s->text < 64 && !memchr(s->text, '/', (size_t)(eq - s->text)) &&
        access(operand, F_OK)) {
        *eq = 0;
        s->label = s->text;
        p = eq + 1;
    }
    for (;;) {
        size_t len = strcspn(p, ",");
        bool more = p[len] == ',';
        if (!len || s->n_paths == CLI_LIST_MAX)
            return vl_fail(e, VL_EARG, "set '%s': SHARD or NAME=SHARD[,SHARD...] wanted", operand);
        p[len] = 0;
        s->path[s->n_paths++] = p;
        if (!more)
            break;
        p += len + 1;
    }
    s->named = s->label != NULL;
    if (!s->label) {
        const char *slash = strrchr(s->path[0], '/');
        char *label = s->text + room;
        strcpy(label, slash ? slash + 1 : s->path[0]);
        label[strcspn(label, ".")] = 0;
        s->label = label;
    }
    /* It stands in tab-separated lines and in JSON. */
    if (vl_caption_check(s->label, strlen(s->label), e))
        return vl_fail(e, VL_EARG, "set '%s': its label is no line of text; NAME=SHARD gives it another",
                       operand);
    return VL_OK;
}

/* Reads the set when it is a distilled one. */
static int set_open(eval *v, eval_set *s, vl_err *e)
{
    const vls_read_opts how = {.skip_bad = v->o.common.skip_bad};
    const vls_left_out ear = cli_losses_ear(&v->losses);
    vls_reader *r = NULL;
    const vls_segment *seg;
    int rc;

    if (s->n_paths > 1 && strcmp(s->path[0], "-"))
        return VL_OK;
    rc = vls_reader_open(s->path[0], &how, &r, e);
    if (rc)
        return rc;
    seg = vls_reader_segment(r, 0);
    if (seg && !strcmp(seg->kind, "distilled")) {
        s->distilled = true;
        s->label = s->named ? s->label : "distilled"; /* sets of several seeds are one row */
        rc = vld_distilled_read(r, &s->set, e);
        if (!rc)
            vls_reader_id(r, &s->id);
        v->losses.role = s->label;
        if (!rc && how.skip_bad)
            rc = ear.shard(ear.arg, r, e);
        s->file_bytes = vls_reader_counts(r)->file_bytes;
    } else if (!strcmp(s->path[0], "-")) {
        s->reader = r;
        r = NULL;
    }
    vls_reader_close(r);
    return rc;
}

static int check_dash(const eval *v, vl_err *e)
{
    const cli_list *lists[] = {&v->o.train, &v->o.val, &v->o.test};
    int inputs = 0;

    for (size_t i = 0; i < v->n_sets; i++)
        for (int k = 0; k < v->set[i].n_paths; k++)
            inputs += !strcmp(v->set[i].path[k], "-");
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < lists[i]->n; k++)
            inputs += !strcmp(lists[i]->item[k], "-");
    return inputs > 1 ? vl_fail(e, VL_EARG, "standard input can be read once") : VL_OK;
}

int eval_sets_parse(eval *v, int n, char **operand, vl_err *e)
{
    int rc = VL_OK;

    v->set = vl_alloc((size_t)n, sizeof *v->set, e);
    if (!v->set)
        return VL_ENOMEM;
    v->n_sets = (size_t)n;
    for (int i = 0; !rc && i < n; i++)
        rc = set_parse(&v->set[i], operand[i], e);
    return rc ? rc : check_dash(v, e);
}

int eval_sets_open(eval *v, vl_err *e)
{
    int rc = VL_OK;

    for (size_t i = 0; !rc && i < v->n_sets; i++)
        rc = set_open(v, &v->set[i], e);
    for (v->first = 0; v->first < v->n_sets && !v->set[v->first].distilled;)
        v->first++;
    return rc;
}

/* ---- the network ---------------------------------------------------------------------------------- */

static bool same_network(const vld_distilled *a, const vld_distilled *b)
{
    return !strcmp(a->model.spec, b->model.spec) && a->model.size == b->model.size &&
           a->model.text_dim == b->model.text_dim && a->model.embed_dim == b->model.embed_dim &&
           a->model.scale == b->model.scale && vl_augment_equal(&a->augment, &b->augment);
}

static int check_agree(const eval *v, vl_err *e)
{
    const eval_set *a = &v->set[v->first];

    for (size_t i = v->first + 1; i < v->n_sets; i++) {
        const eval_set *b = &v->set[i];
        if (b->distilled && !same_network(&a->set, &b->set))
            return vl_fail(e, VL_EFORMAT, "%s and %s: different networks or views", a->path[0], b->path[0]);
    }
    return VL_OK;
}

int eval_protocol(eval *v, vl_err *e)
{
    const vld_distilled *d = v->first < v->n_sets ? &v->set[v->first].set : NULL;
    const char *want = v->o.protocol;

    v->heads = d ? d->model.kind == VLM_HEADS : want && !strcmp(want, "heads");
    if (d && want && v->heads != !strcmp(want, "heads"))
        return vl_fail(e, VL_EARG, "--protocol %s: %s holds %s", want, v->set[v->first].path[0],
                       v->heads ? "features" : "pixels");
    if (v->heads && (v->o.model || v->o.size))
        return vl_fail(e, VL_EARG, "--%s is of pixels: protocol heads has features",
                       v->o.model ? "model" : "size");
    if (!v->heads && v->o.image_ext)
        return vl_fail(e, VL_EARG, "--image is of protocol heads: protocol image has pixels");
    return VL_OK;
}

static size_t first_of(int64_t option, size_t set, size_t usual)
{
    return option ? (size_t)option : set ? set : usual;
}

int eval_network(eval *v, const vl_data *data, vl_err *e)
{
    static const vlm_model none = {.kind = VLM_CONVNET};
    static const vl_augment still = {0};
    const eval_options *o = &v->o;
    const vld_distilled *d = v->first < v->n_sets ? &v->set[v->first].set : NULL;
    const vlm_model *m = d ? &d->model : &none;
    size_t embed = first_of(o->embed_dim, m->embed_dim, VLM_DEFAULT_EMBED);
    size_t text = d ? m->text_dim : data->text_dim;
    double scale = o->scale > 0 ? o->scale : d ? m->scale : VLM_DEFAULT_SCALE;
    char spec[64];
    int rc = d ? check_agree(v, e) : VL_OK;

    if (rc)
        return rc;
    if (d && o->size && (size_t)o->size != m->size)
        return vl_fail(e, VL_EARG, "--size %d: the distilled set has images of %zu pixels", (int)o->size,
                       m->size);
    v->aug = v->heads ? still : o->aug;
    v->set_aug = d ? d->augment : v->aug;
    v->batch = o->batch ? (size_t)o->batch : d ? d->batch : 50;
    if (!v->heads)
        return vlm_parse(o->model ? o->model
                         : d      ? m->spec
                                  : VLM_DEFAULT_SPEC,
                         d ? m->size : first_of(o->size, 0, VLM_DEFAULT_SIZE), text, embed, scale, &v->model,
                         e);
    snprintf(spec, sizeof spec, "heads:%zu,dropout=%.6f", d ? m->image_n : data->feature_dim,
             o->dropout >= 0 ? o->dropout
             : d             ? m->dropout
                             : 0.1);
    return vlm_parse_heads(spec, text, embed, scale, &v->model, e);
}

/* ---- data ----------------------------------------------------------------------------------------- */

/* role: what messages and the JSON call these inputs. */
static int load(eval *v, const char *role, const char *const *path, int n, vls_reader *standard_input,
                size_t size, eval_data *out, vl_err *e)
{
    const vls_left_out ear = cli_losses_ear(&v->losses);
    const vl_data_opts o = {.size = size,
                            .text_ext = v->o.text_ext,
                            .image_ext = v->o.image_ext,
                            .images = !v->heads,
                            .features = v->heads,
                            .text = true,
                            .threads = (int)v->o.common.threads,
                            .standard_input = standard_input,
                            .left_out = v->o.common.skip_bad ? &ear : NULL};
    int rc;

    out->id = vl_alloc((size_t)n, sizeof *out->id, e);
    if (!out->id)
        return VL_ENOMEM;
    out->n_ids = n;
    v->losses.role = role;
    rc = vl_data_load(path, (size_t)n, &o, &out->d, out->id, e);
    return rc ? rc : cli_losses_done(&v->losses, e);
}

static int check_fits(const eval *v, const eval_data *d, const char *name, vl_err *e)
{
    if (!d->n_ids || !vld_data_fits(&v->model, &d->d, e))
        return VL_OK;
    vl_within(e, "%s", name);
    return VL_EFORMAT;
}

/* Every set has as many pairs as the first. */
static int check_pairs(eval *v, vl_err *e)
{
    for (size_t i = 0; i < v->n_sets; i++) {
        size_t n = v->set[i].distilled ? v->set[i].set.set.n : v->set[i].data.d.n;
        if (i && n != v->n)
            return vl_fail(e, VL_EFORMAT, "%s: %zu pairs; %s has %zu, and a table compares equal numbers",
                           v->set[i].path[0], n, v->set[0].path[0], v->n);
        v->n = n;
    }
    if (!v->n_sets)
        v->n = (size_t)v->o.pairs;
    return VL_OK;
}

int eval_load(eval *v, vl_err *e)
{
    const eval_options *o = &v->o;
    size_t size = v->first < v->n_sets ? v->set[v->first].set.model.size
                  : o->size            ? (size_t)o->size
                                       : VLM_DEFAULT_SIZE;
    int rc = load(v, "validation", o->val.item, o->val.n, NULL, size, &v->val, e);

    if (!rc)
        rc = eval_network(v, &v->val.d, e);
    if (!rc && o->base)
        rc = vlm_base_load(&v->model, o->base, o->model != NULL, &v->base, e);
    if (!rc && o->train.n)
        rc = load(v, "train", o->train.item, o->train.n, NULL, size, &v->train, e);
    if (!rc)
        rc = load(v, "test", o->test.item, o->test.n, NULL, size, &v->test, e);
    for (size_t i = 0; !rc && i < v->n_sets; i++)
        if (!v->set[i].distilled) {
            eval_set *s = &v->set[i];
            rc = load(v, s->label, s->path, s->n_paths, s->reader, size, &s->data, e);
            rc = rc ? rc : check_fits(v, &s->data, s->path[0], e);
        }
    if (!rc)
        rc = check_fits(v, &v->val, o->val.item[0], e);
    if (!rc && o->train.n)
        rc = check_fits(v, &v->train, o->train.item[0], e);
    if (!rc)
        rc = check_fits(v, &v->test, o->test.item[0], e);
    return rc ? rc : check_pairs(v, e);
}

static void data_free(eval_data *d)
{
    vl_data_free(&d->d);
    vls_parents_free(d->id, (size_t)d->n_ids);
}

void eval_close(eval *v)
{
    for (size_t i = 0; i < v->n_rows; i++) {
        eval_row *r = &v->row[i];
        if (r->copy)
            continue;
        for (size_t k = 0; r->set && k < r->n_draws; k++)
            vld_set_free(&r->set[k]);
        free(r->set);
        free(r->rows);
        free(r->draw);
    }
    for (size_t i = v->out ? v->n_tasks : 0; i-- > 0;) /* from the end: later ones may share */
        vld_outcome_free(&v->out[i]);
    for (size_t i = 0; i < v->n_sets; i++) {
        free(v->set[i].pixels);
        vld_distilled_free(&v->set[i].set);
        vls_parent_free(&v->set[i].id);
        data_free(&v->set[i].data);
        vls_reader_close(v->set[i].reader);
        free(v->set[i].text);
    }
    data_free(&v->test);
    data_free(&v->val);
    data_free(&v->train);
    cli_losses_free(&v->losses);
    free(v->base);
    json_decref(v->recipe_json);
    free(v->o.transfer_text);
    free(v->verdict.line);
    free(v->notes.line);
    free(v->task);
    free(v->out);
    free(v->row);
    free(v->set);
    memset(v, 0, sizeof *v);
}
