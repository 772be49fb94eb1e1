/* SPDX-License-Identifier: MIT
 * b_expert.c -- one expert of projection heads at their published size by vltrain-expert itself, on made-up features:
 * the seconds of a run of one epoch, and of each further one, by the difference to a run of two.
 *   b_expert [PAIRS]   [14,500]; 145,000 is Flickr30K's number of captions, and takes 1.8 GB of disk and some minutes
 * BIN names the folder of the tools; the shards lie in TMPDIR [/tmp]. */
#include "formats/npy.h"
#include "formats/shard.h"
#include "pipeline/rng.h"
#include "tests/bench/network.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { F_IMAGE = 2304, F_TEXT = 768, EMBED = 2304, BATCH = 128, PAIRS = 14500 };

/* [1,n] of about unit variance. */
static int made_up(uint64_t stream, uint64_t number, size_t n, uint8_t **bytes, size_t *n_bytes, vl_err *e)
{
    float row[F_IMAGE];
    uint64_t bits[F_IMAGE];
    const vl_npy a = {.dtype = VL_F32, .rank = 2, .shape = {1, n}, .data = row};

    vl_rng_fill(number, stream, 0, n, bits);
    for (size_t i = 0; i < n; i++)
        row[i] = (float)((double)(bits[i] >> 11) * 0x1p-53 * 3.46 - 1.73);
    return vl_npy_build(&a, bytes, n_bytes, e);
}

static int add_pair(vls_writer *w, int number, vl_err *e)
{
    uint8_t *image = NULL, *text = NULL;
    vls_member m[2] = {{.ext = "made-up.img.npy"}, {.ext = "made-up.txt.npy"}};
    char key[32];
    const vls_record rec = {key, m, 2};
    int rc;

    snprintf(key, sizeof key, "pair-%07d", number);
    rc = made_up(1, (uint64_t)number, F_IMAGE, &image, &m[0].n, e);
    if (!rc)
        rc = made_up(2, (uint64_t)number, F_TEXT, &text, &m[1].n, e);
    m[0].data = image;
    m[1].data = text;
    if (!rc)
        rc = vls_add(w, &rec, e);
    free(text);
    free(image);
    return rc;
}

static int write_pairs(const char *path, int pairs, vl_err *e)
{
    json_t *manifest = json_pack("{s:s}", "kind", "embeddings");
    vls_writer *w = NULL;
    int rc = vls_writer_open(path, &w, e);

    if (!rc)
        rc = vls_segment_begin(w, manifest, 0, e);
    for (int i = 0; !rc && i < pairs; i++)
        rc = add_pair(w, i, e);
    if (!rc)
        rc = vls_segment_end(w, e);
    rc = rc ? rc : vls_writer_close(w, e);
    json_decref(manifest);
    return rc;
}

static double run(const char *features, int epochs, int threads)
{
    char command[10000];
    double begin = net_clock();

    snprintf(command, sizeof command,
             "\"$BIN\"/vltrain-expert -q --scope heads --embed-dim %d --batch %d -n 1 -e %d -j%d -o "
             "'%s.experts' '%s'",
             EMBED, BATCH, epochs, threads, features, features);
    net_need(!system(command), "vltrain-expert");
    return net_clock() - begin;
}

int main(int argc, char **argv)
{
    const char *dir = getenv("TMPDIR");
    int pairs = argc > 1 ? atoi(argv[1]) : PAIRS, threads = 2;
    char path[4096], experts[4200];
    double one, two, step;
    vl_err e;

    net_need(getenv("BIN") != NULL, "BIN, the folder of the tools,");
    net_need(pairs >= BATCH, "PAIRS, at least a batch,");
    snprintf(path, sizeof path, "%s/vlkit-expert-%d.tar.zst", dir ? dir : "/tmp", (int)getpid());
    snprintf(experts, sizeof experts, "%s.experts", path);
    if (write_pairs(path, pairs, &e)) {
        fprintf(stderr, "b_expert: %s\n", e.text);
        unlink(path);
        return 1;
    }
    one = run(path, 1, threads);
    two = run(path, 2, threads);
    step = (two - one) / (pairs / BATCH);
    printf("vltrain-expert, %d pairs of %d + %d features, -j%d: one epoch %.1f s, each further one %.1f s, "
           "with its "
           "snapshot %.1f ms a step\n",
           pairs, F_IMAGE, F_TEXT, threads, one, two - one, 1e3 * step);
    unlink(experts);
    unlink(path);
    return 0;
}
