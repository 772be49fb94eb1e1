/* SPDX-License-Identifier: MIT
 * report.c -- the page: style, meta table, results with bars, contact sheet; plots are in plot.c. */
#include "cli/report.h"

#include "cli/page.h"
#include "formats/outfile.h"
#include "formats/version.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cli_report {
    cli_page meta, body, whole;
    char *title;
};

/* Colours: eight hues that stay apart for colour-blind readers (after Okabe and Ito), lighter in
 * the dark. System fonts only; nothing is loaded. */
static const char style[] =
    ":root{color-scheme:light "
    "dark;--bg:#fff;--fg:#1c1e21;--dim:#62676d;--rule:#d9dce0;--bar:#7da7d0;"
    "--bar2:#dd9a5b;--soft:#f3f5f7;--s0:#0067a8;--s1:#c4501b;--s2:#007d5c;--s3:#a8478a;--s4:#"
    "8a6d00;"
    "--s5:#2b96c9;--s6:#4a4f55;--s7:#b00020}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#16181b;--fg:#e6e8ea;--dim:#9aa1a9;--rule:#"
    "373c42;"
    "--bar:#3d6f9e;--bar2:#96602c;--soft:#1f2226;--s0:#58b0f0;--s1:#f58a52;--s2:#3fc79a;--s3:#"
    "dd86c2;"
    "--s4:#d8b83a;--s5:#8fd0f2;--s6:#b9bec4;--s7:#ff6b78}}\n"
    "body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:66rem;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.2rem;margin:2.2rem 0 "
    ".6rem}\n"
    "p{max-width:46rem}.wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;color:var(--dim);padding-bottom:.4rem}\n"
    "th,td{padding:.28rem .7rem .28rem 0;text-align:left;vertical-align:top}"
    "th{font-weight:600}thead th{border-bottom:1px solid var(--fg);white-space:nowrap}"
    "tbody tr{border-bottom:1px solid var(--rule)}\n"
    ".meta th{color:var(--dim);font-weight:400;white-space:nowrap}.meta tr{border:0}"
    ".meta td{overflow-wrap:anywhere}\n"
    ".num{text-align:right}.results th{font-weight:400}.results thead th{font-weight:600}"
    ".results .strong{background:var(--soft)}.results .strong th{font-weight:700}\n"
    ".results "
    "th[scope=row]{min-width:9rem}.note{display:block;color:var(--dim);font-size:.82rem;font-"
    "weight:400}"
    ".bar{display:block;height:5px;margin-top:3px;width:4.2rem}.span{width:9rem;height:9px}\n"
    ".ir{fill:var(--bar)}.tr{fill:var(--bar2)}.whisk{stroke:var(--fg);stroke-width:1.5;fill:none}.query{"
    "stroke-width:.8}\n"
    "figure{margin:1.2rem 0}figcaption{font-weight:600}"
    ".plot{width:100%;max-width:46rem;height:auto;display:block}"
    ".plot text{font:12px system-ui,sans-serif;fill:var(--dim)}\n"
    ".axis{stroke:var(--dim);fill:none}.grid{stroke:var(--rule)}"
    ".line{fill:none;stroke-linecap:round;stroke-width:1.7;stroke-linejoin:round}.dot{stroke:none}"
    "\n"
    ".s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}"
    ".s4{stroke:var(--s4)}.s5{stroke:var(--s5)}.s6{stroke:var(--s6)}.s7{stroke:var(--s7)}\n"
    ".dot.s0{fill:var(--s0)}.dot.s1{fill:var(--s1)}.dot.s2{fill:var(--s2)}.dot.s3{fill:var(--s3)}"
    ".dot.s4{fill:var(--s4)}.dot.s5{fill:var(--s5)}.dot.s6{fill:var(--s6)}.dot.s7{fill:var(--s7)}\n"
    ".legend{margin:.3rem 0 0;color:var(--dim);font-size:.88rem}.legend span{margin-right:1.1rem;"
    "white-space:nowrap}.legend svg{vertical-align:middle}\n"
    ".sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.6rem,1fr));gap:.9rem 1rem;"
    "padding:0;list-style:none}.pair{display:flex;gap:3px}\n"
    ".pair>*{width:calc(50% - 1.5px);aspect-ratio:1;object-fit:contain;background:var(--soft)}"
    ".sheet span.cap{display:block;font-size:.8rem;line-height:1.3;margin-top:.25rem;"
    "overflow-wrap:anywhere;unicode-bidi:isolate}\n"
    "footer{margin:3rem 0 1rem;color:var(--dim);font-size:.82rem}\n";

cli_report *cli_report_new(const char *title)
{
    cli_report *r = vl_alloc(1, sizeof *r, NULL);

    if (!r)
        return NULL;
    r->title = vl_strdup(title, NULL);
    r->body.failed = !r->title;
    return r;
}

void cli_report_free(cli_report *r)
{
    if (!r)
        return;
    free(r->title);
    free(r->meta.text);
    free(r->body.text);
    free(r->whole.text);
    free(r);
}

/* Formatted text of any length, escaped. */
static void escaped(cli_page *p, const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0) {
        p->failed = true;
        return;
    }
    cli_page_text(p, text);
    free(text);
}

void cli_report_meta(cli_report *r, const char *name, const char *fmt, ...)
{
    va_list ap;

    if (!r)
        return;
    cli_page_raw(&r->meta, "<tr><th scope=\"row\">");
    cli_page_text(&r->meta, name);
    cli_page_raw(&r->meta, "</th><td>");
    va_start(ap, fmt);
    escaped(&r->meta, fmt, ap);
    va_end(ap);
    cli_page_raw(&r->meta, "</td></tr>\n");
}

void cli_report_heading(cli_report *r, const char *text)
{
    if (!r)
        return;
    cli_page_raw(&r->body, "<h2>");
    cli_page_text(&r->body, text);
    cli_page_raw(&r->body, "</h2>\n");
}

void cli_report_text(cli_report *r, const char *fmt, ...)
{
    va_list ap;

    if (!r)
        return;
    cli_page_raw(&r->body, "<p>");
    va_start(ap, fmt);
    escaped(&r->body, fmt, ap);
    va_end(ap);
    cli_page_raw(&r->body, "</p>\n");
}

/* ---- results --------------------------------------------------------------------------------- */

static const char dash[] = "\xE2\x80\x93";

static double greatest(double a, double b)
{
    return isfinite(b) && b > a ? b : a;
}

/* Each column has a scale of its own, from 0 to its greatest value: rows are compared, not columns,
 * and beside recall at 10 of a full set every recall at 1 would vanish. */
typedef struct scales {
    double mean, ir[3], tr[3];
} scales;

static scales scales_of(const cli_report_row *rows, size_t n)
{
    scales top = {0};

    for (size_t i = 0; i < n; i++) {
        top.mean = greatest(greatest(top.mean, rows[i].mean), rows[i].high);
        top.mean = greatest(top.mean, rows[i].query_high);
        for (int k = 0; k < 3; k++) {
            top.ir[k] = greatest(top.ir[k], rows[i].ir[k]);
            top.tr[k] = greatest(top.tr[k], rows[i].tr[k]);
        }
    }
    return top;
}

static double percent_of(double v, double top)
{
    if (!isfinite(v) || v <= 0 || top <= 0)
        return 0;
    return v < top ? 100 * v / top : 100;
}

static void number(cli_page *p, double v)
{
    if (isfinite(v))
        cli_page_fmt(p, "%.2f", v);
    else
        cli_page_raw(p, dash);
}

static void recall_cell(cli_page *p, double v, double top, const char *class)
{
    cli_page_raw(p, "<td>");
    number(p, v);
    cli_page_fmt(p,
                 "<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" "
                 "aria-hidden=\"true\"><rect class=\"%s\" width=\"%.1f\" height=\"1\"/></svg></td>",
                 class, percent_of(v, top));
}

/* A line from lo to hi with ends across, at a height of the picture. */
static void whisker(cli_page *p, double lo, double hi, double y, const char *class)
{
    cli_page_fmt(p,
                 "<path class=\"%s\" vector-effect=\"non-scaling-stroke\" "
                 "d=\"M%.1f %.1fH%.1fM%.1f %.1fv3M%.1f %.1fv3\"/>",
                 class, lo, y, hi, lo, y - 1.5, hi, y - 1.5);
}

static bool has_queries(const cli_report_row *row)
{
    return isfinite(row->query_low) && isfinite(row->query_high) && row->query_high > 0;
}

/* The mean as a bar, its interval as a line across the bar's end, that over queries as a thinner one below. */
static void interval_cell(cli_page *p, const cli_report_row *row, double top)
{
    cli_page_raw(p, "<td>");
    if (isfinite(row->low) && isfinite(row->high))
        cli_page_fmt(p, "%.2f to %.2f", row->low, row->high);
    else
        cli_page_raw(p, dash);
    cli_page_fmt(p,
                 "<svg class=\"bar span\" viewBox=\"0 0 100 9\" preserveAspectRatio=\"none\" "
                 "aria-hidden=\"true\"><rect class=\"ir\" y=\"2\" width=\"%.1f\" height=\"5\"/>",
                 percent_of(row->mean, top));
    if (isfinite(row->low) && isfinite(row->high))
        whisker(p, percent_of(row->low, top), percent_of(row->high, top), 3.5, "whisk");
    if (has_queries(row))
        whisker(p, percent_of(row->query_low, top), percent_of(row->query_high, top), 6.5, "whisk query");
    cli_page_raw(p, "</svg></td>");
}

static void result_row(cli_page *p, const cli_report_row *row, const scales *top)
{
    cli_page_raw(p, row->strong ? "<tr class=\"strong\"><th scope=\"row\">" : "<tr><th scope=\"row\">");
    cli_page_text(p, row->name);
    if (row->note) {
        cli_page_raw(p, "<span class=\"note\">");
        cli_page_text(p, row->note);
        cli_page_raw(p, "</span>");
    }
    cli_page_raw(p, "</th><td class=\"num\">");
    number(p, row->mean);
    cli_page_raw(p, "</td><td class=\"num\">");
    number(p, row->sd);
    cli_page_raw(p, "</td>");
    interval_cell(p, row, top->mean);
    for (int k = 0; k < 3; k++)
        recall_cell(p, row->ir[k], top->ir[k], "ir");
    for (int k = 0; k < 3; k++)
        recall_cell(p, row->tr[k], top->tr[k], "tr");
    cli_page_raw(p, "</tr>\n");
}

void cli_report_table(cli_report *r, const char *caption, const cli_report_row *rows, size_t n)
{
    scales top = scales_of(rows, n);
    cli_page *p;

    if (!r)
        return;
    p = &r->body;
    cli_page_raw(p, "<div class=\"wide\"><table class=\"results\"><caption>");
    cli_page_text(p, caption);
    cli_page_raw(p,
                 "</caption>\n<thead><tr><th scope=\"col\">set</th><th scope=\"col\" class=\"num\">mean</th>"
                 "<th scope=\"col\" class=\"num\">sd</th><th scope=\"col\">95 % interval</th>");
    for (int k = 0; k < 6; k++)
        cli_page_fmt(p, "<th scope=\"col\">%s@%d</th>", k < 3 ? "IR" : "TR", (const int[]){1, 5, 10}[k % 3]);
    cli_page_raw(p, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < n; i++)
        result_row(p, &rows[i], &top);
    cli_page_raw(p, "</tbody></table></div>\n");
}

/* ---- any table ------------------------------------------------------------------------------- */

static bool looks_like_number(const char *s)
{
    return !s || (*s && strspn(s, "0123456789.,+-eE% ") == strlen(s));
}

static bool numeric_column(const char *const *cells, size_t columns, size_t rows, size_t c)
{
    for (size_t i = 0; i < rows; i++)
        if (!looks_like_number(cells[i * columns + c]))
            return false;
    return rows > 0;
}

static void grid_cell(cli_page *p, const char *tag, bool right, const char *text)
{
    cli_page_fmt(p, "<%s%s>", tag, right ? " class=\"num\"" : "");
    if (text)
        cli_page_text(p, text);
    else
        cli_page_raw(p, dash);
    cli_page_fmt(p, "</%s>", tag);
}

void cli_report_grid(cli_report *r, const char *caption, const char *const *head, size_t columns,
                     const char *const *cells, size_t rows)
{
    cli_page *p;

    if (!r)
        return;
    p = &r->body;
    cli_page_raw(p, "<div class=\"wide\"><table><caption>");
    cli_page_text(p, caption);
    cli_page_raw(p, "</caption>\n<thead><tr>");
    for (size_t c = 0; c < columns; c++)
        grid_cell(p, "th", numeric_column(cells, columns, rows, c), head[c]);
    cli_page_raw(p, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < rows; i++) {
        cli_page_raw(p, "<tr>");
        for (size_t c = 0; c < columns; c++)
            grid_cell(p, "td", numeric_column(cells, columns, rows, c), cells[i * columns + c]);
        cli_page_raw(p, "</tr>\n");
    }
    cli_page_raw(p, "</tbody></table></div>\n");
}

/* ---- figures --------------------------------------------------------------------------------- */

void cli_report_plot(cli_report *r, const cli_report_figure *f)
{
    if (r)
        cli_page_svg(&r->body, f);
}

static void picture(cli_page *p, const cli_report_image *image, const char *what, const char *caption)
{
    if (!image->png) {
        cli_page_raw(p, "<span></span>"); /* keeps the place */
        return;
    }
    cli_page_fmt(p, "<img alt=\"%s: ", what);
    cli_page_text(p, caption);
    cli_page_raw(p, "\" src=\"data:image/png;base64,");
    cli_page_base64(p, image->png, image->n);
    cli_page_raw(p, "\">");
}

void cli_report_sheet(cli_report *r, const cli_report_cell *cells, size_t n)
{
    cli_page *p;

    if (!r)
        return;
    p = &r->body;
    cli_page_raw(p, "<ul class=\"sheet\">\n");
    for (size_t i = 0; i < n; i++) {
        cli_page_raw(p, "<li><div class=\"pair\">");
        picture(p, &cells[i].before, "before", cells[i].caption);
        picture(p, &cells[i].after, "after", cells[i].caption);
        cli_page_raw(p, "</div>");
        if (cells[i].caption) {
            cli_page_raw(p, "<span class=\"cap\" dir=\"auto\">");
            cli_page_text(p, cells[i].caption);
            cli_page_raw(p, "</span>");
        }
        cli_page_raw(p, "</li>\n");
    }
    cli_page_raw(p, "</ul>\n");
}

/* ---- the end --------------------------------------------------------------------------------- */

int cli_report_html(cli_report *r, const char **html, size_t *n, vl_err *e)
{
    cli_page *p = r ? &r->whole : NULL;

    if (!p || r->body.failed || r->meta.failed)
        return vl_fail(e, VL_ENOMEM, "out of memory while writing the report");
    p->n = 0;
    cli_page_raw(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    cli_page_text(p, r->title);
    cli_page_raw(p, "</title>\n<style>\n");
    cli_page_raw(p, style);
    cli_page_raw(p, "</style>\n</head>\n<body>\n<h1>");
    cli_page_text(p, r->title);
    cli_page_raw(p, "</h1>\n");
    if (r->meta.n) {
        cli_page_raw(p, "<table class=\"meta\"><tbody>\n");
        cli_page_bytes(p, r->meta.text, r->meta.n);
        cli_page_raw(p, "</tbody></table>\n");
    }
    if (r->body.n)
        cli_page_bytes(p, r->body.text, r->body.n);
    cli_page_raw(p, "<footer>vlkit " VL_VERSION "</footer>\n</body>\n</html>\n");
    if (p->failed)
        return vl_fail(e, VL_ENOMEM, "out of memory while writing the report");
    *html = p->text;
    *n = p->n;
    return VL_OK;
}

int cli_report_write(cli_report *r, const char *path, vl_err *e)
{
    const char *html = NULL;
    size_t n = 0;
    int rc = cli_report_html(r, &html, &n, e);

    return rc ? vl_within(e, "%s", path) : vl_write_file(path, html, n, e);
}
