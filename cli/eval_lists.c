/* SPDX-License-Identifier: MIT
 * eval_lists.c -- options of vleval that are lists of words, and what they need of the inputs. */
#include "cli/eval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next item of a list with commas, *s moves behind it; false at the end. An empty item has length 0. */
static bool next_item(const char **s, const char **item, size_t *len)
{
    if (!*s)
        return false;
    *item = *s;
    *len = strcspn(*s, ",");
    *s = (*s)[*len] ? *s + *len + 1 : NULL;
    return true;
}

static bool is_word(const char *item, size_t len, const char *word)
{
    return strlen(word) == len && !strncmp(item, word, len);
}

static int shown(size_t len)
{
    return (int)(len < 40 ? len : 40);
}

/* ---- --students ----------------------------------------------------------------------------------- */

static int count_of(const char *item, int64_t *out, vl_err *e)
{
    char *end;

    errno = 0;
    *out = strtoll(item, &end, 10);
    if (errno || *end || *out < 1 || *out > 1000)
        return vl_fail(e, VL_EARG, "--students: '%.40s' is not a whole number from 1 to 1000", item);
    return VL_OK;
}

/* "N", "SPEC,SPEC", "N,SPEC": how many students, and other networks to train as well. A network's own settings have
 * commas in front of them, as in vit:16x2x2/4,lora=2: an item with '=' belongs to the network before it. */
static int parse_students(eval_options *o, vl_err *e)
{
    const char *s = o->students_text, *item;
    bool counted = false, network = false;
    size_t len;
    char *p;

    o->transfer_text = p = vl_strdup(s, e);
    if (!p)
        return VL_ENOMEM;
    while (next_item(&s, &item, &len)) {
        int rc = VL_OK;
        p = o->transfer_text + (item - o->students_text);
        p[len] = 0;
        if (network && strchr(p, '=')) {
            p[-1] = ',';
            continue;
        }
        network = strchr(p, ':') != NULL;
        if (len && strspn(p, "0123456789") == len) {
            rc = counted ? vl_fail(e, VL_EARG, "--students: two numbers, '%.40s' is the second", p)
                         : count_of(p, &o->students, e);
            counted = true;
        } else if (!network) {
            rc = vl_fail(e, VL_EARG,
                         "--students: '%.40s' is neither a number nor a network like convnet:32x2", p);
        } else if (o->n_transfer == EVAL_MORE_MAX) {
            rc = vl_fail(e, VL_EARG, "--students: at most %d networks", EVAL_MORE_MAX);
        } else {
            o->transfer[o->n_transfer++] = p;
        }
        if (rc)
            return rc;
    }
    return VL_OK;
}

/* ---- --ablate ------------------------------------------------------------------------------------- */

static int parse_ablate(eval_options *o, vl_err *e)
{
    const char *s = o->ablate_text, *item;
    size_t len;

    while (next_item(&s, &item, &len)) {
        int a = 0;
        while (a < VLD_ABLATIONS && !is_word(item, len, vld_ablation_name[a]))
            a++;
        if (a == VLD_ABLATIONS)
            return vl_fail(e, VL_EARG, "--ablate: '%.*s' is none of similarity, rates, text, images",
                           shown(len), item);
        o->ablate[a] = true;
    }
    return VL_OK;
}

int eval_lists_parse(eval *v, vl_err *e)
{
    int rc = parse_students(&v->o, e);

    return rc ? rc : parse_ablate(&v->o, e);
}

/* ---- --controls ----------------------------------------------------------------------------------- */

typedef struct control {
    const char *name;
    bool *on, possible;
    const char *lacks;
} control;

static const vld_select_method *coreset(const char *item, size_t len)
{
    for (const vld_select_method *m = vld_select_methods; m->name; m++)
        if (is_word(item, len, m->name) && vld_coreset_takes(m))
            return m;
    return NULL;
}

static int add_coreset(eval_options *o, const vld_select_method *m, vl_err *e)
{
    if (!o->train.n)
        return vl_fail(e, VL_EARG, "--controls %s: needs --train", m->name);
    for (size_t i = 0; i < o->n_coresets; i++)
        if (o->coreset[i] == m)
            return VL_OK;
    if (o->n_coresets == EVAL_MORE_MAX)
        return vl_fail(e, VL_EARG, "--controls: at most %d coresets", EVAL_MORE_MAX);
    o->coreset[o->n_coresets++] = m;
    return VL_OK;
}

/* Of the coresets the table of methods knows which there are. */
static int unknown(const char *item, size_t len, vl_err *e)
{
    char names[200] = "";

    for (const vld_select_method *m = vld_select_methods; m->name; m++)
        if (vld_coreset_takes(m))
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s, ", m->name);
    return vl_fail(
        e, VL_EARG,
        "--controls: '%.*s' is none of default, chance, random, initial, initial-rates, full, %snone",
        shown(len), item, names);
}

static int one_control(eval_options *o, const control *c, size_t n, const char *item, size_t len, vl_err *e)
{
    const vld_select_method *m = coreset(item, len);
    size_t i = 0;

    if (m)
        return add_coreset(o, m, e);
    if (is_word(item, len, "none"))
        return VL_OK;
    for (; i < n; i++)
        if (is_word(item, len, "default"))
            *c[i].on = *c[i].on || c[i].possible;
        else if (is_word(item, len, c[i].name))
            break;
    if (is_word(item, len, "default"))
        return VL_OK;
    if (i == n)
        return unknown(item, len, e);
    if (!c[i].possible)
        return vl_fail(e, VL_EARG, "--controls %s: needs %s", c[i].name, c[i].lacks);
    *c[i].on = true;
    return VL_OK;
}

static int check_needs(const eval *v, vl_err *e)
{
    const eval_options *o = &v->o;
    bool any = false;

    for (int a = 0; a < VLD_ABLATIONS; a++)
        any = any || o->ablate[a];
    if (any && v->first == v->n_sets)
        return vl_fail(e, VL_EARG, "--ablate: needs a distilled set");
    if (o->ablate[VLD_NO_TEXT] && !o->train.n)
        return vl_fail(e, VL_EARG, "--ablate text: needs --train, whose captions are the nearest ones");
    if (v->heads && o->n_transfer)
        return vl_fail(e, VL_EARG, "--students %s: protocol heads has projection heads of one kind",
                       o->transfer[0]);
    if (!o->ars)
        return VL_OK;
    if (v->heads)
        return vl_fail(e, VL_EARG, "--ars: compares views of pixels, and protocol heads has features");
    if (v->first == v->n_sets || !o->random)
        return vl_fail(e, VL_EARG, "--ars: needs a distilled set and random pairs beside it (--train)");
    if (!vl_augment_any(&o->aug))
        return vl_fail(e, VL_EARG,
                       "--ars: compares with and without the views of --augment, and that is none");
    return VL_OK;
}

int eval_controls_parse(eval *v, vl_err *e)
{
    eval_options *o = &v->o;
    bool set = v->first < v->n_sets;
    const control c[] = {
        {"chance", &o->chance, true, ""},
        {"random", &o->random, o->train.n > 0, "--train"},
        {"initial", &o->initial, o->train.n > 0 && set, "--train and a distilled set"},
        {"initial-rates", &o->initial_rates, o->train.n > 0 && set, "--train and a distilled set"},
        {"full", &o->full, o->train.n > 0, "--train"}};
    const char *s = o->controls ? o->controls : "default", *item;
    size_t len;

    while (next_item(&s, &item, &len)) {
        int rc;
        if (!len && !s && item > o->controls)
            return vl_fail(e, VL_EARG, "--controls: '%s' ends in a comma", o->controls);
        rc = one_control(o, c, sizeof c / sizeof *c, item, len, e);
        if (rc)
            return rc;
    }
    return check_needs(v, e);
}
