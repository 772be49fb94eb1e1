/* SPDX-License-Identifier: MIT
 * mk_text -- embeddings of a pairs shard's captions, of few dimensions, for shell tests that train.
 *   mk_text PAIRS OUT [DIM]
 * Records hold hash<DIM>.txt.npy [captions,DIM] f32 from the hashed n-grams of pipeline/text_hash.h. */
#include "formats/npy.h"
#include "formats/shard.h"
#include "pipeline/text_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int embed(const vls_record *in, size_t dim, vls_writer *w, vl_err *e)
{
    const vls_member *m = vls_get(in, "json");
    json_t *j = m ? json_loadb((const char *)m->data, m->n, 0, NULL) : NULL;
    const json_t *captions = json_object_get(j, "captions");
    vl_npy a = {.dtype = VL_F32, .rank = 2, .shape = {json_array_size(captions), dim}};
    float *rows = vl_alloc(json_array_size(captions), dim * sizeof *rows, e);
    uint8_t *bytes = NULL;
    char ext[32];
    int rc = rows ? VL_OK : VL_ENOMEM;

    for (size_t c = 0; !rc && c < json_array_size(captions); c++) {
        const char *s = json_string_value(json_array_get(captions, c));
        rc = vl_text_hash(s, strlen(s), dim, rows + c * dim, e);
    }
    a.data = rows;
    snprintf(ext, sizeof ext, "hash%zu.txt.npy", dim);
    if (!rc) {
        vls_member out = {.ext = ext};
        vls_record rec = {in->key, &out, 1};
        rc = vl_npy_build(&a, &bytes, &out.n, e);
        out.data = bytes;
        rc = rc ? rc : vls_add(w, &rec, e);
    }
    free(bytes);
    free(rows);
    json_decref(j);
    return rc;
}

int main(int argc, char **argv)
{
    size_t dim = argc > 3 ? (size_t)atoi(argv[3]) : 32;
    json_t *manifest = json_pack("{s:s}", "kind", "embeddings");
    vls_reader *r = NULL;
    vls_writer *w = NULL;
    vls_record rec;
    const vls_segment *seg;
    vls_parent parent;
    vl_err e;
    int rc = argc > 2 ? vls_reader_open(argv[1], NULL, &r, &e) : vl_fail(&e, VL_EARG, "PAIRS OUT [DIM]");

    if (!rc)
        rc = vls_writer_open(argv[2], &w, &e);
    if (!rc)
        rc = vls_segment_begin(w, manifest, 0, &e);
    while (!rc && (rc = vls_next(r, &rec, &seg, &e)) == 1)
        rc = embed(&rec, dim, w, &e);
    if (!rc) {
        vls_reader_id(r, &parent);
        rc = vls_add_parent(w, &parent, &e);
        vls_parent_free(&parent);
    }
    if (!rc)
        rc = vls_segment_end(w, &e);
    rc = rc ? rc : vls_writer_close(w, &e);
    if (rc)
        fprintf(stderr, "mk_text: %s\n", e.text);
    vls_reader_close(r);
    json_decref(manifest);
    return rc != 0;
}
