/* SPDX-License-Identifier: MIT
 * version.h -- the one place where versions are written. */
#ifndef VL_VERSION_H
#define VL_VERSION_H

/* Of the tools; semantic versioning. */
#define VL_VERSION "0.1.0"

/* Of the shard, as in FORMAT.md; written to and required of a manifest. */
#define VL_FORMAT_VERSION 1

#endif
