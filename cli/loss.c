/* SPDX-License-Identifier: MIT */
#include "cli/loss.h"
#include "cli/msg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 20, NOTED = 100 };

int cli_loss_say(const vls_reader *r)
{
    const vls_read_counts *c = vls_reader_counts(r);
    const char *path = vls_reader_name(r), *key;
    const vls_loss *gap;
    size_t gaps;
    uint64_t n;

    if (!c->bad_frames && !c->lost_tails)
        return 0;
    cli_error("%s: %" PRIu64 " bad frames left out, at least %" PRIu64 " records lost", path, c->bad_frames,
              c->lost_records);
    if (c->lost_tails)
        cli_error("%s: %" PRIu64 " segments lack their ends: how many records they had is not known", path,
                  c->lost_tails);
    gaps = vls_reader_losses(r, &gap);
    for (size_t i = 0; i < gaps && i < SHOWN; i++)
        cli_error("%s: segment %" PRIu64 ": records may be missing after '%s', before '%s'", path,
                  gap[i].segment, gap[i].after ? gap[i].after : "", gap[i].before ? gap[i].before : "");
    key = vls_reader_lost_keys(r, &n);
    for (uint64_t i = 0; i < n && i < SHOWN; i++, key += strlen(key) + 1)
        cli_error("%s: lost: %s", path, key);
    return 1;
}

/* With the content id that the parents' list knows the input by. */
static json_t *note_of(const vls_reader *r)
{
    json_t *note = vls_reader_loss_note(r);
    vls_parent id;

    vls_reader_id(r, &id);
    if (note && json_object_set_new(note, "content_id", json_string(id.id))) {
        json_decref(note);
        note = NULL;
    }
    vls_parent_free(&id);
    return note;
}

int cli_loss_note(const vls_reader *r, json_t **all, vls_writer *w, vl_err *e)
{
    json_t *note;

    if (!cli_loss_say(r))
        return VL_OK;
    note = note_of(r);
    if (!*all)
        *all = json_array();
    if (json_array_append_new(*all, note))
        return vl_fail(e, VL_ENOMEM, "out of memory: notes");
    return vls_segment_note(w, "input_loss", json_deep_copy(*all), e);
}

/* ---- of several loadings -------------------------------------------------------------------------- */

static int no_memory(vl_err *e)
{
    return vl_fail(e, VL_ENOMEM, "out of memory: notes");
}

/* Takes note. Its place is by its text: inputs are named in any order, and the bytes written do not show it. */
static int insert(cli_losses *l, json_t *note, vl_err *e)
{
    int bad = !note || (l->role && json_object_set_new(note, "role", json_string(l->role)));
    char *text = bad ? NULL : json_dumps(note, JSON_COMPACT | JSON_SORT_KEYS);
    size_t at = 0;

    bad = !text;
    if (!bad && !l->all)
        bad = !(l->all = json_array());
    for (; !bad && at < json_array_size(l->all); at++) {
        char *other = json_dumps(json_array_get(l->all, at), JSON_COMPACT | JSON_SORT_KEYS);
        int order = other ? strcmp(text, other) : -1;
        bad = !other;
        free(other);
        if (order < 0)
            break;
    }
    free(text);
    if (!bad)
        bad = json_array_insert(l->all, at, note);
    json_decref(note);
    return bad ? no_memory(e) : VL_OK;
}

static int hear_shard(void *arg, const vls_reader *r, vl_err *e)
{
    return cli_loss_say(r) ? insert(arg, note_of(r), e) : VL_OK;
}

static int hear_record(void *arg, const char *key, const char *why, vl_err *e)
{
    cli_losses *l = arg;

    if (l->left_out++ < SHOWN)
        cli_error("%s; left out", why);
    if (!l->keys && !(l->keys = json_array()))
        return no_memory(e);
    if (l->left_out <= NOTED && json_array_append_new(l->keys, json_string(key)))
        return no_memory(e);
    return VL_OK;
}

vls_left_out cli_losses_ear(cli_losses *l)
{
    return (vls_left_out){l, hear_shard, hear_record};
}

int cli_losses_done(cli_losses *l, vl_err *e)
{
    json_t *note;

    if (!l->left_out)
        return VL_OK;
    if (l->left_out > SHOWN)
        cli_error("%" PRIu64 " left out in all", l->left_out);
    note = json_pack("{s:I, s:O}", "left_out", (json_int_t)l->left_out, "keys", l->keys);
    json_decref(l->keys);
    l->keys = NULL;
    l->left_out = 0;
    return insert(l, note, e);
}

void cli_losses_free(cli_losses *l)
{
    json_decref(l->keys);
    json_decref(l->all);
    *l = (cli_losses){0};
}
