/* SPDX-License-Identifier: MIT
 * licence.h -- terms of use and sources, carried from the shards that are read to the shard that is made of them.
 *
 * A licence is an SPDX identifier or any other text; what the table does not know counts as the strictest and is kept
 * as it was written. Groups, from the loosest to the strictest:
 *
 *   public domain    CC0-1.0, PDDL-1.0, Unlicense ...
 *   attribution      CC-BY-*, ODC-By-1.0, MIT, Apache-2.0, BSD-*, CDLA-Permissive-* ...
 *   share-alike      CC-BY-SA-*, ODbL-1.0, CDLA-Sharing-1.0, GPL, LGPL, MPL, GFDL, OFL ...
 *   non-commercial   CC-BY-NC-*, CC-BY-NC-SA-*
 *   restricted       CC-BY-ND-*, CC-BY-NC-ND-* (nothing that was made from it may be passed on), NONE, NOASSERTION (not
 *                    known: what stands for a shard without a licence among others with one), any other text
 *
 * Within a group the order is that of the table in licence.c, other texts bytewise behind; so the strictest of a list
 * does not depend on its order. It is a summary for people: all licences stay in the list, and which duties they
 * bring together is not for a program to say.
 *
 * The rights of a shard are {"licences": [...], "sources": [...]}, each sorted bytewise and without repetition; NULL
 * where nothing is known; a list with nothing in it is not there. */
#ifndef VL_LICENCE_H
#define VL_LICENCE_H

#include "formats/err.h"
#include <jansson.h>
#include <stdbool.h>

enum {
    VL_RIGHTS_MAX = 256,      /* licences, and sources, of a shard */
    VL_RIGHTS_TEXT_MAX = 1000 /* bytes of one */
};
#define VL_LICENCE_UNKNOWN "NOASSERTION"

typedef enum vl_licence_group {
    VL_PUBLIC_DOMAIN,
    VL_ATTRIBUTION,
    VL_SHARE_ALIKE,
    VL_NON_COMMERCIAL,
    VL_RESTRICTED
} vl_licence_group;

/* vl_licence_group_of -- upper and lower case are the same in an SPDX identifier. */
vl_licence_group vl_licence_group_of(const char *licence);
const char *vl_licence_group_name(vl_licence_group g); /* "share-alike" */

/* vl_licence_compare -- above 0 when a is stricter than b, 0 for the same licence only. */
int vl_licence_compare(const char *a, const char *b);

/* vl_licence_strictest -- of a list of strings; borrowed from it, NULL where it is empty. */
const char *vl_licence_strictest(const json_t *licences);

/* vl_licence_of_url -- the SPDX identifier of a Creative Commons deed ("http://creativecommons.org/licenses/by/2.0/" is
 * CC-BY-2.0), in out. False: the address is none. */
bool vl_licence_of_url(const char *url, char out[32]);

/* vl_rights_add -- adds what is not NULL; *rights NULL becomes an object, other names in it stay. Errors: VL_EARG over VL_RIGHTS_MAX or VL_RIGHTS_TEXT_MAX. */
VL_MUST_USE int vl_rights_add(json_t **rights, const char *licence, const char *source, vl_err *e);

/* vl_rights_merge -- adds all of from, which may be any object with these two names, or NULL. */
VL_MUST_USE int vl_rights_merge(json_t **rights, const json_t *from, vl_err *e);

/* vl_rights_segment -- adds what a segment says of itself: "licence" and "source" of its manifest ("various" of it,
 * where segments were merged), "licences" and "sources" of its tail. *silent: it names no licence. */
VL_MUST_USE int vl_rights_segment(json_t **rights, const json_t *manifest, const json_t *tail, bool *silent,
                                  vl_err *e);

#endif
