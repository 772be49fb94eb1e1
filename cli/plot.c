/* SPDX-License-Identifier: MIT
 * plot.c -- a line plot as inline SVG.
 *
 * Data coordinates are mapped linearly (or by log10 in y) to a frame of fixed size in user units;
 * the page scales the drawing to its width. Colours are CSS classes (s0..s7, axis, grid), so light
 * and dark are the page's choice. Coordinates are printed with one decimal: a tenth of a unit is
 * less than a pixel, and short numbers keep a page with many curves small. */
#include "cli/page.h"
#include "cli/report.h"

#include <math.h>
#include <stdio.h>

enum { W = 720, H = 300, LEFT = 64, RIGHT = 12, TOP = 10, BOTTOM = 44, STRETCHES = 300, TICKS = 6 };

typedef struct axis {
    double lo, hi;
    bool log;
} axis;

typedef struct frame {
    axis x, y;
} frame;

static double to_axis(const axis *a, double v)
{
    return a->log ? log10(v) : v;
}

static bool shown(const frame *f, double x, double y)
{
    return isfinite(x) && isfinite(y) && (!f->y.log || y > 0);
}

static double px(const frame *f, double x)
{
    return LEFT + (W - LEFT - RIGHT) * (x - f->x.lo) / (f->x.hi - f->x.lo);
}

static double py(const frame *f, double y)
{
    double at = (to_axis(&f->y, y) - f->y.lo) / (f->y.hi - f->y.lo);
    return TOP + (H - TOP - BOTTOM) * (1 - at);
}

/* The largest of 1, 2, 5 times a power of ten that still gives at least about TICKS steps. */
static double nice_step(double span)
{
    double raw = span / TICKS, ten = pow(10, floor(log10(raw)));

    if (raw / ten >= 5)
        return 5 * ten;
    return raw / ten >= 2 ? 2 * ten : ten;
}

static void widen(axis *a)
{
    double pad = a->log ? 0.1 : (a->lo == 0 ? 1 : fabs(a->lo) * 0.1);

    if (a->lo > a->hi) { /* no data */
        a->lo = 0;
        a->hi = 1;
    } else if (a->hi - a->lo < 1e-12 * fmax(fabs(a->lo), fabs(a->hi)) || a->hi == a->lo) {
        a->lo -= pad;
        a->hi += pad;
    }
}

static frame frame_of(const cli_report_figure *f, size_t n_series)
{
    frame r = {{INFINITY, -INFINITY, false}, {INFINITY, -INFINITY, f->log_y}};

    for (size_t s = 0; s < n_series; s++)
        for (size_t i = 0; i < f->series[s].n; i++) {
            double x = f->series[s].x[i], y = f->series[s].y[i];
            if (!shown(&r, x, y))
                continue;
            y = to_axis(&r.y, y);
            r.x.lo = fmin(r.x.lo, x);
            r.x.hi = fmax(r.x.hi, x);
            r.y.lo = fmin(r.y.lo, y);
            r.y.hi = fmax(r.y.hi, y);
        }
    widen(&r.x);
    widen(&r.y);
    if (!r.y.log && r.y.lo > 0 && r.y.lo < 0.5 * r.y.hi)
        r.y.lo = 0; /* near enough: a plot that starts at 0 does not exaggerate */
    if (!r.y.log) {
        double step = nice_step(r.y.hi - r.y.lo);
        r.y.lo = floor(r.y.lo / step) * step;
        r.y.hi = ceil(r.y.hi / step) * step;
    }
    return r;
}

/* ---- ticks ----------------------------------------------------------------------------------- */

static void tick_x(cli_page *p, const frame *f, double v)
{
    double at = px(f, v);

    cli_page_fmt(p, "<line class=\"axis\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", at, H - BOTTOM, at,
                 H - BOTTOM + 4);
    cli_page_fmt(p, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n", at, H - BOTTOM + 17, v);
}

static void tick_y(cli_page *p, const frame *f, double v)
{
    double at = py(f, v);

    cli_page_fmt(p, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, at, W - RIGHT,
                 at);
    cli_page_fmt(p, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n", LEFT - 6, at + 4, v);
}

/* Ticks at multiples of a nice step; the multiple is counted in whole numbers, so that 0 is 0. */
static void linear_ticks(cli_page *p, const frame *f, const axis *a,
                         void (*tick)(cli_page *, const frame *, double))
{
    double step = nice_step(a->hi - a->lo), eps = 1e-9 * (a->hi - a->lo);
    double first = ceil((a->lo - eps) / step), last = floor((a->hi + eps) / step);

    for (double k = first; k <= last && k < first + 4 * TICKS; k++)
        tick(p, f, k * step + 0.0); /* -0 + 0 is 0 */
}

/* Decades; within less than two of them also 2 and 5; more than TICKS of them are thinned out. */
static void log_ticks(cli_page *p, const frame *f)
{
    double span = f->y.hi - f->y.lo, every = fmax(1, ceil(span / TICKS));
    static const double between[] = {1, 2, 5};

    if (span < 0.35) { /* too short for 1, 2, 5: equal steps of the value itself */
        double lo = pow(10, f->y.lo), hi = pow(10, f->y.hi), step = nice_step(hi - lo);
        for (double k = ceil(lo / step); k * step <= hi; k++)
            tick_y(p, f, k * step);
        return;
    }
    for (double d = floor(f->y.lo); d <= f->y.hi; d += every)
        for (int i = 0; i < (span < 2 ? 3 : 1); i++) {
            double v = pow(10, d) * between[i];
            if (log10(v) >= f->y.lo - 1e-9 && log10(v) <= f->y.hi + 1e-9)
                tick_y(p, f, v);
        }
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* "h0" makes a point that stands alone visible: the caps of a line without length are drawn. */
static void point(cli_page *p, const frame *f, bool *pen, double x, double y)
{
    cli_page_fmt(p, *pen ? "L%.1f %.1f" : "M%.1f %.1fh0", px(f, x), py(f, y));
    *pen = true;
}

/* The stretch from i on: its least and greatest value in the order they come. Returns its end. */
static size_t stretch(cli_page *p, const frame *f, const cli_report_series *s, size_t i, bool *pen)
{
    double from = (s->x[i] - f->x.lo) / (f->x.hi - f->x.lo) * STRETCHES;
    size_t least = i, most = i, end = i;

    for (; end < s->n && shown(f, s->x[end], s->y[end]); end++) {
        double at = (s->x[end] - f->x.lo) / (f->x.hi - f->x.lo) * STRETCHES;
        if (floor(at) != floor(from))
            break;
        least = s->y[end] < s->y[least] ? end : least;
        most = s->y[end] > s->y[most] ? end : most;
    }
    if (least > most) {
        size_t swap = least;
        least = most;
        most = swap;
    }
    point(p, f, pen, s->x[least], s->y[least]);
    if (most != least)
        point(p, f, pen, s->x[most], s->y[most]);
    return end;
}

static void line(cli_page *p, const frame *f, const cli_report_series *s, size_t colour)
{
    bool pen = false, thin = s->n > 2 * STRETCHES;
    size_t points = 0, last = 0;

    cli_page_fmt(p, "<path class=\"line s%zu\" d=\"", colour);
    for (size_t i = 0; i < s->n;) {
        if (!shown(f, s->x[i], s->y[i])) {
            pen = false;
            i++;
            continue;
        }
        points++;
        last = i;
        if (thin) {
            i = stretch(p, f, s, i, &pen);
        } else {
            point(p, f, &pen, s->x[i], s->y[i]);
            i++;
        }
    }
    cli_page_raw(p, "\"><title>");
    cli_page_text(p, s->name);
    cli_page_raw(p, "</title></path>\n");
    if (points == 1) /* a line of one point has no length */
        cli_page_fmt(p, "<circle class=\"dot s%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", colour,
                     px(f, s->x[last]), py(f, s->y[last]));
}

static void legend(cli_page *p, const cli_report_figure *f, size_t n)
{
    cli_page_raw(p, "<p class=\"legend\">");
    for (size_t s = 0; s < n; s++) {
        cli_page_fmt(p,
                     "<span><svg viewBox=\"0 0 20 8\" width=\"20\" height=\"8\" aria-hidden=\"true\">"
                     "<path class=\"line s%zu\" d=\"M0 4L20 4\"/></svg> ",
                     s);
        cli_page_text(p, f->series[s].name);
        cli_page_raw(p, "</span> ");
    }
    if (n < f->n_series)
        cli_page_fmt(p, "<span>and %zu more, not drawn</span>", f->n_series - n);
    cli_page_raw(p, "</p>\n");
}

void cli_page_svg(cli_page *p, const cli_report_figure *f)
{
    size_t n = f->n_series < CLI_REPORT_SERIES_MAX ? f->n_series : CLI_REPORT_SERIES_MAX;
    frame fr = frame_of(f, n);

    cli_page_raw(p, "<figure><figcaption>");
    cli_page_text(p, f->title);
    cli_page_fmt(p, "</figcaption>\n<svg class=\"plot\" viewBox=\"0 0 %d %d\" role=\"img\">\n", W, H);
    if (fr.y.log)
        log_ticks(p, &fr);
    else
        linear_ticks(p, &fr, &fr.y, tick_y);
    linear_ticks(p, &fr, &fr.x, tick_x);
    cli_page_fmt(p, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, H - BOTTOM, W - RIGHT);
    cli_page_fmt(p, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + W - RIGHT) / 2, H - 6);
    cli_page_text(p, f->x_label);
    cli_page_fmt(p, "</text>\n<text transform=\"translate(13 %d) rotate(-90)\" text-anchor=\"middle\">",
                 (TOP + H - BOTTOM) / 2);
    cli_page_text(p, f->y_label);
    cli_page_raw(p, "</text>\n");
    for (size_t s = 0; s < n; s++)
        line(p, &fr, &f->series[s], s);
    cli_page_raw(p, "</svg>\n");
    legend(p, f, n);
    cli_page_raw(p, "</figure>\n");
}
