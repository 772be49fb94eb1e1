/* SPDX-License-Identifier: MIT
 * f_shard.c -- any bytes as a shard, from a file and from a pipe. Both read the same or both fail, with threads and
 * without; --skip-bad changes nothing of a good one, nor does leaving out the content id; the records of a good one,
 * written again, have the same content id. */
#include "formats/shard.h"
#include "tests/fuzz/shard_mutate.h"

#include <xxhash.h>

typedef struct reading {
    int rc;
    XXH64_hash_t sum; /* of kinds, keys, exts and bytes */
    uint64_t records;
    vls_parent id;
    vls_read_counts counts;
} reading;

static XXH64_hash_t add(XXH64_hash_t sum, const void *p, size_t n)
{
    return XXH64(n ? p : "", n, sum + n);
}

static void take(reading *out, const vls_record *rec, const vls_segment *seg)
{
    out->records++;
    out->sum = add(add(out->sum, seg->kind, strlen(seg->kind)), rec->key, strlen(rec->key));
    for (size_t i = 0; i < rec->n_members; i++) {
        out->sum = add(out->sum, rec->members[i].ext, strlen(rec->members[i].ext));
        out->sum = add(out->sum, rec->members[i].data, rec->members[i].n);
    }
}

static reading read_all(const char *path, const vls_read_opts *opts)
{
    reading out = {0};
    vls_reader *r = NULL;
    const vls_segment *seg;
    vls_record rec;
    vl_err e;

    out.rc = told(vls_reader_open(path, opts, &r, &e), &e);
    if (out.rc)
        return out;
    while ((out.rc = told(vls_next(r, &rec, &seg, &e), &e)) == 1)
        take(&out, &rec, seg);
    HOLDS(vls_next(r, &rec, &seg, &e) == out.rc); /* at the end as after an error */
    if (!out.rc)
        vls_reader_id(r, &out.id);
    out.counts = *vls_reader_counts(r);
    HOLDS(out.counts.records == out.records || (opts && opts->heads_only));
    vls_reader_close(r);
    return out;
}

/* ---- a good shard, written again ---------------------------------------------------------------- */

static int copy_records(vls_reader *r, vls_writer *w, vl_err *e)
{
    const vls_segment *seg, *open = NULL;
    vls_record rec;
    int got, rc = 0;

    while (!rc && (got = vls_next(r, &rec, &seg, e)) == 1) {
        if (open && open != seg)
            rc = vls_segment_end(w, e);
        if (!rc && open != seg)
            rc = vls_segment_begin(w, seg->manifest, 0, e);
        open = seg;
        if (!rc)
            rc = vls_add(w, &rec, e);
    }
    HOLDS(rc || !got);
    return rc || !open ? rc : vls_segment_end(w, e);
}

/* The writer writes to standard output, which is a file in memory for so long. */
static void rewrite(const char *path, const reading *want)
{
    fuzz_file f = fuzz_open(NULL, 0);
    int keep = dup(STDOUT_FILENO);
    vls_writer *w = NULL;
    vls_reader *r = NULL;
    reading again;
    vl_err e;

    HOLDS(keep >= 0 && dup2(f.fd, STDOUT_FILENO) >= 0);
    HOLDS(!vls_reader_open(path, NULL, &r, &e) && !vls_writer_open("-", &w, &e));
    if (copy_records(r, w, &e)) {
        fprintf(stderr, "%s\n", e.text);
        HOLDS(!"a record that was read can be written");
    }
    HOLDS(!vls_writer_close(w, &e));
    vls_reader_close(r);
    HOLDS(dup2(keep, STDOUT_FILENO) >= 0);
    close(keep);
    again = read_all(f.path, NULL);
    HOLDS(!again.rc && again.records == want->records && again.sum == want->sum);
    HOLDS(!strcmp(again.id.id, want->id.id));
    fuzz_close(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const vls_read_opts pipe = {.plain_fd = true}, skip = {.skip_bad = true}, heads = {.heads_only = true},
                        one = {.one_thread = true}, no_id = {.no_id = true};
    fuzz_file f = fuzz_open(data, n);
    reading alone = read_all(f.path, &one), bare = read_all(f.path, &no_id);
    reading file = read_all(f.path, NULL), piped = read_all(f.path, &pipe), skipped = read_all(f.path, &skip);

    read_all(f.path, &heads);
    HOLDS(!file.rc == !piped.rc);
    HOLDS(file.rc == alone.rc && file.sum == alone.sum && file.records == alone.records);
    HOLDS(bare.records >= file.records && (file.rc || (!bare.rc && file.sum == bare.sum && !*bare.id.id)));
    if (!file.rc) {
        HOLDS(file.sum == piped.sum && file.records == piped.records && !strcmp(file.id.id, piped.id.id));
        HOLDS(!skipped.rc && skipped.sum == file.sum && !skipped.counts.bad_frames &&
              !skipped.counts.lost_records);
        if (file.records)
            rewrite(f.path, &file);
    }
    fuzz_close(&f);
    return 0;
}
