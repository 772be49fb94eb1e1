/* SPDX-License-Identifier: MIT */
#include "formats/licence.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The one table of what is stricter than what: groups in order, and the rows within a group. A name that ends in '-'
 * stands for all versions and ports of the licence, which are ordered by their text. SPDX licence list 3.24. */
static const struct row {
    const char *name;
    vl_licence_group group;
} table[] = {
    {"CC0-1.0", VL_PUBLIC_DOMAIN},
    {"CC-PDDC", VL_PUBLIC_DOMAIN},
    {"CC-PDM-1.0", VL_PUBLIC_DOMAIN},
    {"PDDL-1.0", VL_PUBLIC_DOMAIN},
    {"Unlicense", VL_PUBLIC_DOMAIN},
    {"0BSD", VL_PUBLIC_DOMAIN},
    {"MIT-0", VL_PUBLIC_DOMAIN},
    {"MIT", VL_ATTRIBUTION},
    {"ISC", VL_ATTRIBUTION},
    {"BSD-2-Clause", VL_ATTRIBUTION},
    {"BSD-3-Clause", VL_ATTRIBUTION},
    {"Apache-2.0", VL_ATTRIBUTION},
    {"Unicode-3.0", VL_ATTRIBUTION},
    {"Unicode-DFS-", VL_ATTRIBUTION},
    {"CDLA-Permissive-", VL_ATTRIBUTION},
    {"ODC-By-1.0", VL_ATTRIBUTION},
    {"CC-BY-", VL_ATTRIBUTION},
    {"OFL-1.0", VL_SHARE_ALIKE},
    {"OFL-1.1", VL_SHARE_ALIKE},
    {"MPL-2.0", VL_SHARE_ALIKE},
    {"CDLA-Sharing-1.0", VL_SHARE_ALIKE},
    {"LAL-1.3", VL_SHARE_ALIKE},
    {"ODbL-1.0", VL_SHARE_ALIKE},
    {"CC-BY-SA-", VL_SHARE_ALIKE},
    {"GFDL-", VL_SHARE_ALIKE},
    {"LGPL-", VL_SHARE_ALIKE},
    {"GPL-", VL_SHARE_ALIKE},
    {"AGPL-", VL_SHARE_ALIKE},
    {"CC-BY-NC-", VL_NON_COMMERCIAL},
    {"CC-BY-NC-SA-", VL_NON_COMMERCIAL},
    {"CC-BY-ND-", VL_RESTRICTED},
    {"CC-BY-NC-ND-", VL_RESTRICTED},
    {"NONE", VL_RESTRICTED},
    {VL_LICENCE_UNKNOWN, VL_RESTRICTED},
};
enum { ROWS = sizeof table / sizeof *table };

/* What may follow a name that ends in '-': nothing that could be another licence or an expression of several. */
static bool version(const char *s)
{
    size_t n = strspn(s, "0123456789.");

    if (!n)
        return false;
    for (s += n; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '-' && *s != '.' && !(*s == '+' && !s[1]))
            return false;
    return true;
}

/* The row of a licence; ROWS for any other text. */
static int row_of(const char *s)
{
    for (int i = 0; i < ROWS; i++) {
        size_t n = strlen(table[i].name);
        bool family = table[i].name[n - 1] == '-';
        if (family ? !strncasecmp(s, table[i].name, n) && version(s + n) : !strcasecmp(s, table[i].name))
            return i;
    }
    return ROWS;
}

vl_licence_group vl_licence_group_of(const char *licence)
{
    int row = row_of(licence);

    return row < ROWS ? table[row].group : VL_RESTRICTED;
}

const char *vl_licence_group_name(vl_licence_group g)
{
    static const char *const name[] = {"public domain", "attribution", "share-alike", "non-commercial",
                                       "restricted"};

    return name[g];
}

int vl_licence_compare(const char *a, const char *b)
{
    vl_licence_group ga = vl_licence_group_of(a), gb = vl_licence_group_of(b);
    int ra = row_of(a), rb = row_of(b);

    if (ga != gb)
        return ga > gb ? 1 : -1;
    return ra != rb ? (ra > rb ? 1 : -1) : strcmp(a, b);
}

const char *vl_licence_strictest(const json_t *licences)
{
    const char *most = NULL, *s;
    const json_t *j;
    size_t i;

    json_array_foreach (licences, i, j) {
        s = json_string_value(j);
        if (s && (!most || vl_licence_compare(s, most) > 0))
            most = s;
    }
    return most;
}

bool vl_licence_of_url(const char *url, char out[32])
{
    static const char deed[] = "creativecommons.org/licenses/";
    const char *at = strstr(url, deed);
    char terms[16], number[8];
    int n = 0;

    if (!at || sscanf(at + strlen(deed), "%12[a-z-]/%4[0-9.]%n", terms, number, &n) != 2 || !n)
        return false;
    at += strlen(deed) + (size_t)n;
    if (strcmp(at, "") && strcmp(at, "/"))
        return false; /* a port to the law of a country, or something else */
    snprintf(out, 32, "CC-%s-%s", terms, number);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return row_of(out) < ROWS;
}

/* ---- rights --------------------------------------------------------------------------------------- */

/* Puts s into the sorted list called name. */
static int add(json_t *rights, const char *name, const char *s, vl_err *e)
{
    json_t *list = json_object_get(rights, name);
    size_t n, i = 0;
    int order = 1;

    if (!list && !json_object_set_new(rights, name, json_array()))
        list = json_object_get(rights, name);
    n = json_array_size(list);
    while (i < n && (order = strcmp(json_string_value(json_array_get(list, i)), s)) < 0)
        i++;
    if (i < n && !order)
        return VL_OK;
    if (strlen(s) > VL_RIGHTS_TEXT_MAX)
        return vl_fail(e, VL_EARG, "%s: one of %zu bytes, at most %d allowed", name, strlen(s),
                       VL_RIGHTS_TEXT_MAX);
    if (n == VL_RIGHTS_MAX)
        return vl_fail(e, VL_EARG, "more than %d %s", VL_RIGHTS_MAX, name);
    if (json_array_insert_new(list, i, json_string(s)))
        return vl_fail(e, VL_EARG, "%s: '%.80s' is not UTF-8, or out of memory", name, s);
    return VL_OK;
}

int vl_rights_add(json_t **rights, const char *licence, const char *source, vl_err *e)
{
    int rc = VL_OK;

    if (!licence && !source)
        return VL_OK;
    if (!*rights && !(*rights = json_object()))
        return vl_fail(e, VL_ENOMEM, "out of memory: rights");
    if (licence)
        rc = add(*rights, "licences", licence, e);
    if (!rc && source)
        rc = add(*rights, "sources", source, e);
    return rc;
}

/* Every string of value, which is one or a list of them; others say nothing. */
static int add_all(json_t **rights, const json_t *value, bool licence, vl_err *e)
{
    const char *s = json_string_value(value);
    const json_t *j;
    size_t i;
    int rc = s ? vl_rights_add(rights, licence ? s : NULL, licence ? NULL : s, e) : VL_OK;

    json_array_foreach (value, i, j) {
        s = json_string_value(j);
        if (!rc && s)
            rc = vl_rights_add(rights, licence ? s : NULL, licence ? NULL : s, e);
    }
    return rc;
}

int vl_rights_merge(json_t **rights, const json_t *from, vl_err *e)
{
    int rc = add_all(rights, json_object_get(from, "licences"), true, e);

    return rc ? rc : add_all(rights, json_object_get(from, "sources"), false, e);
}

int vl_rights_segment(json_t **rights, const json_t *manifest, const json_t *tail, bool *silent, vl_err *e)
{
    const json_t *various = json_object_get(manifest, "various");
    const json_t *own = json_object_get(manifest, "licence"), *many = json_object_get(various, "licence");
    int rc = add_all(rights, own, true, e);

    if (!rc)
        rc = add_all(rights, many, true, e);
    if (!rc)
        rc = add_all(rights, json_object_get(manifest, "source"), false, e);
    if (!rc)
        rc = add_all(rights, json_object_get(various, "source"), false, e);
    if (!rc)
        rc = vl_rights_merge(rights, tail, e);
    *silent =
        !json_is_string(own) && !json_array_size(many) && !json_array_size(json_object_get(tail, "licences"));
    return rc;
}
