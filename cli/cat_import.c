/* SPDX-License-Identifier: MIT */
#include "cli/cat_import.h"

#include "cli/msg.h"
#include "distill/import_pt.h"

#include <inttypes.h>

void cat_import_check(const cat_args *a, cat_carrier to)
{
    bool records = a->kind || a->key.n || a->keys || a->range || a->part || a->every != 1 || a->head ||
                   a->shuffle >= 0 || a->strip || a->prefix,
         members = a->join.n || a->any_parent || a->drop.n || a->rename.n || a->plain || a->skip_bad,
         pieces = a->reseal || a->shard_size || a->shard_records || a->dali;

    if (records || members || pieces || to > CAT_TAR)
        cli_misuse("--import makes one shard: only -o, --seal and --to tar.zst or tar go with it");
}

int cat_import(const cat_args *a, cat_carrier to, const char *const *paths, size_t n, vl_err *e)
{
    const vls_write_opts opts = {.plain = to == CAT_TAR, .seal = a->seal};
    vld_import_counts k;
    vls_writer *w = NULL;
    int rc = vls_writer_open_opts(a->common.output, &opts, &w, e);

    if (rc)
        return rc;
    rc = vld_import_pt(paths, n, "vlcat", w, &k, e);
    if (rc) {
        vls_writer_abort(w);
        return rc;
    }
    rc = vls_writer_close(w, e);
    if (!rc && k.pairs)
        cli_info("%" PRIu64 " pairs, %.1f MB of tensors", k.pairs, (double)k.bytes / 1e6);
    if (!rc && k.experts)
        cli_info("%" PRIu64 " experts, %" PRIu64 " snapshots, %.1f MB of tensors", k.experts, k.snapshots,
                 (double)k.bytes / 1e6);
    return rc;
}
