/* SPDX-License-Identifier: MIT
 * ls_command.c -- manifests record options under their long names with '_' for '-', so that most of a command
 * line is the object "options" word by word. What tools record elsewhere has a line in `elsewhere`. */
#include "cli/ls_command.h"

#include "formats/bytes.h"
#include "pipeline/view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands outside of "options": tool, place in the manifest, option. */
static const struct {
    const char *tool, *object, *name, *option;
} elsewhere[] = {
    {"vlpack", NULL, "split", "--split"},
    {"vlpack", NULL, "source", "--source"},
    {"vlpack", NULL, "licence", "--licence"},
    {"vltrain-expert", "model", "spec", "--model"},
    {"vltrain-expert", "model", "size", "--size"},
    {"vltrain-expert", "model", "embed_dim", "--embed-dim"},
    {"vltrain-expert", "model", "scale", "--scale"},
    {"vltrain-expert", NULL, "seed", "--seed"},
    {"vldistill", NULL, "seed", "--seed"},
};

static void word(json_t *words, const char *text)
{
    json_array_append_new(words, json_string(text));
}

/* The shortest digits that give the number back. */
static void real_text(double v, char out[40])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

static void add_option(json_t *words, const char *option, const json_t *v)
{
    char text[40];
    json_t *item;
    size_t i;

    if (json_is_array(v)) {
        json_array_foreach ((json_t *)v, i, item)
            if (!json_is_array(item))
                add_option(words, option, item);
        return;
    }
    if (json_is_false(v) || json_is_null(v) || json_is_object(v))
        return;
    word(words, option);
    if (json_is_string(v)) {
        word(words, json_string_value(v));
    } else if (json_is_integer(v)) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
        word(words, text);
    } else if (json_is_real(v)) {
        real_text(json_real_value(v), text);
        word(words, text);
    }
}

static void add_options(json_t *words, const json_t *options)
{
    const char *name;
    json_t *v;

    json_object_foreach ((json_t *)options, name, v) {
        char option[80] = "--";
        size_t at = 2;
        for (const char *p = name; *p && at + 1 < sizeof option; p++)
            option[at++] = *p == '_' ? '-' : *p;
        option[at] = 0;
        add_option(words, option, v);
    }
}

static void add_augment(json_t *words, const json_t *a)
{
    const vl_augment views = {.flip = json_is_true(json_object_get(a, "flip")),
                              .shift = (int)json_integer_value(json_object_get(a, "shift")),
                              .crop = (int)json_integer_value(json_object_get(a, "crop")),
                              .cutout = (int)json_integer_value(json_object_get(a, "cutout")),
                              .colour = json_is_true(json_object_get(a, "colour"))};
    char text[VL_AUGMENT_TEXT];

    if (!a)
        return;
    vl_augment_text(&views, text);
    word(words, "--augment");
    word(words, text);
}

/* ---- the last step -------------------------------------------------------------------------------- */

/* Steps of vlcat say how many steps came before them; those of vlselect stand in the gaps. */
static const json_t *last_step(const json_t *manifest)
{
    const json_t *select = json_object_get(manifest, "select"), *cat = json_object_get(manifest, "cat");
    size_t ns = json_array_size(select), nc = json_array_size(cat);
    const json_t *last = nc ? json_array_get(cat, nc - 1) : NULL;

    if (ns && (!last || json_integer_value(json_object_get(last, "after")) < (json_int_t)(ns + nc - 1)))
        return json_array_get(select, ns - 1);
    return last;
}

/* vlselect writes its options beside its name, vlcat under "options". */
static void add_step(json_t *words, const json_t *step)
{
    const json_t *tool = json_object_get(step, "tool");
    const char *name;
    json_t *v;

    word(words,
         json_is_string(tool) ? json_string_value(tool) : json_string_value(json_object_get(tool, "name")));
    if (json_is_object(json_object_get(step, "options"))) {
        json_object_foreach (json_object_get(step, "options"), name, v) {
            char option[80];
            snprintf(option, sizeof option, "--%s", name);
            if (strcmp(name, "join") && strcmp(name, "keys")) /* files: join is among the inputs */
                add_option(words, option, v);
        }
        if (json_object_get(json_object_get(step, "options"), "keys")) {
            word(words, "--keys");
            word(words, "FILE");
        }
        return;
    }
    json_object_foreach ((json_t *)step, name, v) {
        char option[80];
        snprintf(option, sizeof option, "--%s", strcmp(name, "n") ? name : "count");
        if (strcmp(name, "tool") && strcmp(name, "version"))
            add_option(words, option, v);
    }
}

static void add_tool(json_t *words, const json_t *manifest)
{
    const json_t *options = json_object_get(manifest, "options");
    const char *tool = json_string_value(json_object_get(json_object_get(manifest, "tool"), "name"));

    if (!tool)
        return;
    word(words, tool);
    add_options(words, options);
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        const json_t *in = elsewhere[i].object ? json_object_get(manifest, elsewhere[i].object) : manifest;
        const json_t *v = json_object_get(in, elsewhere[i].name);
        if (v && !strcmp(tool, elsewhere[i].tool))
            add_option(words, elsewhere[i].option, v);
    }
    if (!strcmp(tool, "vltrain-expert") || !strcmp(tool, "vldistill"))
        add_augment(words, json_object_get(manifest, "augment"));
}

static void add_inputs(json_t *words, const json_t *step, const json_t *parents)
{
    const char *tool = json_string_value(json_array_get(words, 0));
    json_int_t joins = json_integer_value(json_object_get(json_object_get(step, "options"), "join"));
    size_t n = json_array_size(parents), i;
    json_t *p;

    json_array_foreach ((json_t *)parents, i, p) {
        const char *id = json_string_value(json_object_get(p, "content_id"));
        const char *kind = json_string_value(json_object_get(p, "kind"));
        if (!id || !kind)
            continue;
        if (!strcmp(tool, "vldistill") && strcmp(kind, "trajectory"))
            word(words, "--real");
        else if (joins > 0 && i + (size_t)joins >= n)
            word(words, "--join");
        word(words, id);
    }
}

json_t *ls_command(const json_t *manifest, const json_t *parents)
{
    json_t *words = json_array();
    const json_t *step = last_step(manifest);

    if (!words)
        return NULL;
    if (step)
        add_step(words, step);
    else
        add_tool(words, manifest);
    if (json_array_size(words))
        add_inputs(words, step, parents);
    return words;
}

static int add_quoted(vl_buf *b, const char *s)
{
    bool plain = *s != 0 && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                         "_-+=.,:/@%")];
    int bad = plain ? vl_buf_add(b, s, strlen(s), NULL) : vl_buf_add(b, "'", 1, NULL);

    for (; !bad && !plain && *s; s++) {
        char c = (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s; /* a stranger wrote it */
        bad = c == '\'' ? vl_buf_add(b, "'\\''", 4, NULL) : vl_buf_add(b, &c, 1, NULL);
    }
    return bad || plain ? bad : vl_buf_add(b, "'", 1, NULL);
}

char *ls_command_text(const json_t *words)
{
    vl_buf b = {0};
    json_t *w;
    size_t i;
    int bad = 0;

    json_array_foreach ((json_t *)words, i, w) {
        bad = bad || (i && vl_buf_add(&b, " ", 1, NULL));
        bad = bad || add_quoted(&b, json_string_value(w));
    }
    if (!json_array_size(words))
        bad = vl_buf_fmt(&b, NULL, "# the manifest does not say how");
    bad = bad || vl_buf_add(&b, "", 1, NULL);
    if (bad) {
        free(b.p);
        return NULL;
    }
    return (char *)b.p;
}
