/* SPDX-License-Identifier: MIT */
#include "cli/cat_args.h"

#include "cli/msg.h"
#include "formats/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* ---- where to ------------------------------------------------------------------------------------- */

static bool ends(const char *s, const char *with)
{
    size_t n = strlen(s), k = strlen(with);

    return n > k && !strcmp(s + n - k, with);
}

static cat_carrier by_name(const char *out)
{
    struct stat st;

    if (!out || !strcmp(out, "-"))
        return CAT_ZST;
    if (ends(out, "/") || (!stat(out, &st) && S_ISDIR(st.st_mode)))
        return CAT_FOLDER;
    return ends(out, ".tar")           ? CAT_TAR
           : ends(out, ".safetensors") ? CAT_SAFETENSORS
           : ends(out, ".npz")         ? CAT_NPZ
                                       : CAT_ZST;
}

cat_carrier cat_carrier_of(const cat_args *a)
{
    static const char *const names[] = {"tar.zst", "tar", "folder", "safetensors", "npz"};
    const char *out = a->common.output;
    bool to_stdout = !out || !strcmp(out, "-"), set = a->shard_size || a->shard_records;
    cat_carrier c = by_name(out);

    for (int i = 0; a->to && i < 5; i++)
        if (!strcmp(a->to, names[i]))
            c = (cat_carrier)i;
    if (to_stdout && c == CAT_FOLDER)
        cli_misuse("a folder needs a name: -o NAME");
    if (set && (to_stdout || c > CAT_TAR))
        cli_misuse("--shard-size and --shard-records need -o with a place for a number, such as "
                   "out-%%06d.tar.zst");
    if (a->common.sign && c > CAT_TAR)
        cli_misuse("--sign: a %s has no place for a signature", names[c]);
    if (a->seal && c > CAT_TAR)
        cli_misuse("--seal: a %s has no end to mark", names[c]);
    if (a->dali && (to_stdout || c != CAT_TAR))
        cli_misuse("--dali-index goes with -o NAME.tar");
    if ((a->bare || a->stack) && c < CAT_SAFETENSORS)
        cli_misuse("--bare and --stack name tensors of .safetensors and .npz");
    return c;
}

/* ---- which records -------------------------------------------------------------------------------- */

static bool whole(const char *s, size_t n, uint64_t *v)
{
    char text[24], *end;

    if (n < 1 || n > 18 || strspn(s, "0123456789") < n)
        return false;
    memcpy(text, s, n);
    text[n] = 0;
    *v = strtoull(text, &end, 10);
    return true;
}

static void set_range(const char *s, vl_pick_opts *o)
{
    const char *colon = strchr(s, ':');
    size_t n = colon ? (size_t)(colon - s) : 0;

    if (!colon || (n && !whole(s, n, &o->from)) ||
        (colon[1] && !whole(colon + 1, strlen(colon + 1), &o->to)) || o->from > o->to)
        cli_misuse("--range: '%s' is not A:B, records from A up to B without B, counted from 0", s);
}

static void set_part(const char *s, vl_pick_opts *o)
{
    const char *slash = strchr(s, '/');

    if (!slash || !whole(s, (size_t)(slash - s), &o->part) ||
        !whole(slash + 1, strlen(slash + 1), &o->parts) || o->part >= o->parts || o->parts > 1 << 20)
        cli_misuse("--part: '%s' is not I/N, I from 0 to N - 1", s);
}

static int read_keys(const char *path, vl_keytab *keys, uint64_t *sum, vl_err *e)
{
    XXH64_state_t *state = XXH64_createState();
    FILE *f = fopen(path, "re");
    char line[1100];
    size_t i, at = 0;
    int rc = state ? VL_OK : vl_fail(e, VL_ENOMEM, "out of memory: keys");

    if (!f)
        rc = vl_fail_errno(e, "%s", path);
    if (!rc)
        XXH64_reset(state, 0);
    for (; !rc && fgets(line, sizeof line, f); at++) {
        size_t n = strcspn(line, "\n");
        XXH64_update(state, line, n + 1);
        if (!line[n] && !feof(f))
            rc = vl_fail(e, VL_EFORMAT, "%s: line %zu is no key", path, at);
        line[n] = 0;
        if (!rc && n && vl_keytab_add(keys, line, &i, e) < 0)
            rc = VL_ENOMEM;
    }
    if (!rc && ferror(f))
        rc = vl_fail_errno(e, "%s", path);
    if (!rc && !keys->n)
        rc = vl_fail(e, VL_EFORMAT, "%s: no key", path);
    *sum = state ? XXH64_digest(state) : 0;
    if (f)
        fclose(f);
    XXH64_freeState(state);
    return rc;
}

int cat_pick_of(const cat_args *a, vl_keytab *keys, uint64_t *keys_sum, vl_pick_opts *out, vl_err *e)
{
    *out = (vl_pick_opts){.kind = a->kind,
                          .glob = a->key.item,
                          .n_globs = (size_t)a->key.n,
                          .to = UINT64_MAX,
                          .every = (uint64_t)a->every,
                          .head = a->head ? (uint64_t)a->head : UINT64_MAX};
    *keys_sum = 0;
    if (a->range)
        set_range(a->range, out);
    if (a->part)
        set_part(a->part, out);
    if (!a->keys)
        return VL_OK;
    out->keys = keys;
    return read_keys(a->keys, keys, keys_sum, e);
}

void cat_trim_of(const cat_args *a, vl_trim_opts *out)
{
    vl_err e;

    *out = (vl_trim_opts){.drop = a->drop.item,
                          .n_drops = (size_t)a->drop.n,
                          .rename = a->rename.item,
                          .n_renames = (size_t)a->rename.n,
                          .strip = a->strip,
                          .prefix = a->prefix};
    if (vl_trim_check(out, &e))
        cli_misuse("%s", e.text);
}

/* ---- what the manifest says of it ----------------------------------------------------------------- */

static int put(json_t *j, const char *name, json_t *value)
{
    return value ? json_object_set_new(j, name, value) : -1;
}

static int put_text(json_t *j, const char *name, const char *text)
{
    return text ? put(j, name, json_string(text)) : 0; /* NULL for what is not UTF-8: no key is like it */
}

static int put_list(json_t *j, const char *name, const cli_list *l)
{
    json_t *list = l->n ? json_array() : NULL;

    for (int i = 0; i < l->n; i++)
        if (json_array_append_new(list, json_string(l->item[i]))) {
            json_decref(list);
            return -1;
        }
    return l->n ? put(j, name, list) : 0;
}

static int put_int(json_t *j, const char *name, bool given, int64_t v)
{
    return given ? put(j, name, json_integer(v)) : 0;
}

static int put_keys(json_t *j, const cat_args *a, const vl_pick_opts *pick, uint64_t sum)
{
    char hex[17];

    if (!a->keys)
        return 0;
    snprintf(hex, sizeof hex, "%016" PRIx64, sum); /* names of files are not recorded */
    return put(j, "keys", json_pack("{s:I, s:s}", "n", (json_int_t)pick->keys->n, "xxh64", hex));
}

int cat_step_of(const cat_args *a, const vl_pick_opts *pick, uint64_t keys_sum, json_t **out, vl_err *e)
{
    json_t *o = json_object();
    int bad = !o;

    bad = bad || put_list(o, "key", &a->key) || put_keys(o, a, pick, keys_sum) ||
          put_text(o, "range", a->range) || put_int(o, "every", a->every > 1, a->every) ||
          put_text(o, "part", a->part) || put_int(o, "head", a->head > 0, a->head) ||
          put_int(o, "shuffle", a->shuffle >= 0, a->shuffle) ||
          put_int(o, "join", a->join.n > 0, a->join.n) || put_list(o, "drop", &a->drop) ||
          put_list(o, "rename", &a->rename) || put_text(o, "strip", a->strip) ||
          put_text(o, "prefix", a->prefix) || (a->plain && put(o, "plain", json_true()));
    *out = NULL;
    if (!bad && json_object_size(o))
        *out = json_pack("{s:{s:s, s:s}, s:O}", "tool", "name", "vlcat", "version", VL_VERSION, "options", o);
    bad = bad || (json_object_size(o) && !*out);
    json_decref(o);
    return bad ? vl_fail(e, VL_EARG, "an option that is not UTF-8, or no memory for the manifest") : VL_OK;
}
