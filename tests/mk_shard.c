/* SPDX-License-Identifier: MIT
 * mk_shard -- writes small shards for the shell tests.
 *   mk_shard OUT|- [-s SEGMENTS] [-n RECORDS] [-b BYTES] [-p PREFIX] [-k KIND] [-d]
 * Records PREFIX-<segment>-<record> hold txt (a sentence), json (captions) and jpg (BYTES bytes
 * that look random). -d writes the last record's key twice, which the writer must refuse. */
#include "formats/shard.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    uint64_t segments, records, bytes;
    const char *prefix, *kind;
    bool twice;
} o = {1, 3, 1000, "rec", "pairs", false};

static int add(vls_writer *w, uint64_t s, uint64_t i, uint8_t *noise, vl_err *e)
{
    char key[300], txt[64], json[128];
    uint64_t x = (s << 32 | i) * 2654435761u + 1, k;
    vls_member m[3];
    vls_record rec = {key, m, 3};

    snprintf(key, sizeof key, "%s-%" PRIu64 "-%06" PRIu64, o.prefix, s, i);
    m[1].n = (size_t)snprintf(txt, sizeof txt, "sentence %" PRIu64, i);
    m[2].n = (size_t)snprintf(json, sizeof json, "{\"captions\":[\"sentence %" PRIu64 "\"]}", i);
    for (k = 0; k < o.bytes; k++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        noise[k] = (uint8_t)(x >> 32);
    }
    m[0] = (vls_member){"jpg", noise, (size_t)o.bytes};
    m[1] = (vls_member){"txt", (const uint8_t *)txt, m[1].n};
    m[2] = (vls_member){"json", (const uint8_t *)json, m[2].n};
    return vls_add(w, &rec, e);
}

static int segment(vls_writer *w, uint64_t s, uint8_t *noise, vl_err *e)
{
    json_t *m = json_pack("{s:s, s:s, s:i}", "kind", o.kind, "tool", "mk_shard", "seed", 1);
    uint64_t i;
    int rc = vls_segment_begin(w, m, 0, e);

    json_decref(m);
    for (i = 0; !rc && i < o.records; i++)
        rc = add(w, s, i, noise, e);
    if (!rc && o.twice && o.records)
        rc = add(w, s, o.records - 1, noise, e);
    return rc ? rc : vls_segment_end(w, e);
}

int main(int argc, char **argv)
{
    vls_writer *w = NULL;
    uint8_t *noise;
    uint64_t s;
    vl_err e;
    int c, rc;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    while ((c = getopt(argc, argv, "s:n:b:p:k:d")) != -1) {
        switch (c) {
        case 's':
            o.segments = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            o.records = strtoull(optarg, NULL, 10);
            break;
        case 'b':
            o.bytes = strtoull(optarg, NULL, 10);
            break;
        case 'p':
            o.prefix = optarg;
            break;
        case 'k':
            o.kind = optarg;
            break;
        case 'd':
            o.twice = true;
            break;
        default:
            return 2;
        }
    }
    if (optind + 1 != argc)
        return 2;
    noise = malloc(o.bytes + 1);
    rc = noise ? vls_writer_open(argv[optind], &w, &e) : vl_fail(&e, VL_ENOMEM, "out of memory");
    for (s = 0; !rc && s < o.segments; s++)
        rc = segment(w, s, noise, &e);
    if (rc)
        vls_writer_abort(w);
    else
        rc = vls_writer_close(w, &e);
    free(noise);
    if (rc)
        fprintf(stderr, "mk_shard: %s\n", e.text);
    return rc ? 1 : 0;
}
