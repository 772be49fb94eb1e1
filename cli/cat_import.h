/* SPDX-License-Identifier: MIT
 * cat_import.h -- vlcat --import: operands that are no shards. */
#ifndef CLI_CAT_IMPORT_H
#define CLI_CAT_IMPORT_H

#include "cli/cat_args.h"

/* cat_import_check -- exits 2 when an option for shards goes with --import. */
void cat_import_check(const cat_args *a, cat_carrier to);

/* cat_import -- files into one shard at the output, and a line about them. Errors: those of import_pt.h. */
VL_MUST_USE int cat_import(const cat_args *a, cat_carrier to, const char *const *paths, size_t n, vl_err *e);

#endif
