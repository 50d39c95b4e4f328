/* plot.c - curves as SVG; see plot.h.
 *
 * Every panel has its own y axis and shares the x axis with the others. Axes take round numbers:
 * the step between ticks is 1, 2 or 5 times a power of ten, and the range ends on ticks. A series
 * longer than what the eye can tell apart is drawn as the means of equal groups of points.
 */
#include "cli/plot.h"

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WIDTH = 860,
    LEFT = 76,
    RIGHT = 20,
    HEAD = 48,   /* above the first panel */
    PANEL = 190, /* of the drawn area of a panel */
    GAP = 46,    /* between panels: the next one's title */
    FOOT = 52,   /* below the last: numbers and name of the x axis */
    MOST_POINTS = 600,
    N_COLORS = 6
};

/* One axis: values lo..hi in steps of `step`, on pixels from..to. */
struct axis {
    double lo, hi, step, from, to;
};

static double at(const struct axis *a, double v)
{
    return a->from + (v - a->lo) / (a->hi - a->lo) * (a->to - a->from);
}

/* Round numbers around lo..hi with about `n` ticks. */
static void axis_init(struct axis *a, double lo, double hi, int n, bool round_out)
{
    if (!(hi > lo)) {
        const double pad = lo != 0 ? fabs(lo) * 0.1 : 1;
        lo -= pad;
        hi += pad;
    }
    const double rough = (hi - lo) / n, power = pow(10, floor(log10(rough))), m = rough / power;
    a->step = power * (m > 5 ? 10 : m > 2 ? 5 : m > 1 ? 2 : 1);
    a->lo = round_out ? floor(lo / a->step + 1e-9) * a->step : lo;
    a->hi = round_out ? ceil(hi / a->step - 1e-9) * a->step : hi;
}

/* A tick's number with as many decimals as the step has. */
static void number(struct str *out, double v, double step)
{
    const double size = fmax(fabs(v), step);
    if (fabs(v) < step / 1e6)
        str_puts(out, "0");
    else if (size >= 1e6 || step < 1e-4)
        str_printf(out, "%.3g", v);
    else
        str_printf(out, "%.*f", step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0, v);
}

static void escaped(struct str *out, const char *text)
{
    for (const char *p = text; *p; p++)
        switch (*p) {
        case '<':
            str_puts(out, "&lt;");
            break;
        case '&':
            str_puts(out, "&amp;");
            break;
        default:
            str_putc(out, (unsigned char)*p < ' ' ? ' ' : *p);
        }
}

/* ---- points -------------------------------------------------------------------------------------
 */

struct points {
    double *x, *y;
    size_t n;
};

static bool finite_at(const struct plot_series *s, size_t i)
{
    return isfinite(s->x[i]) && isfinite(s->y[i]);
}

/* The finite points, in groups' means when they are many. */
static struct points points_of(const struct plot_series *s)
{
    struct points p = {.x = xcalloc(s->n + 1, sizeof *p.x), .y = xcalloc(s->n + 1, sizeof *p.y)};
    const size_t group = s->dots ? 1 : s->n / MOST_POINTS + 1;
    for (size_t i = 0; i < s->n; i += group) {
        double x = 0, y = 0;
        size_t k = 0;
        for (size_t j = i; j < i + group && j < s->n; j++)
            if (finite_at(s, j)) {
                x += s->x[j];
                y += s->y[j];
                k++;
            }
        if (k) {
            p.x[p.n] = x / (double)k;
            p.y[p.n++] = y / (double)k;
        }
    }
    return p;
}

static void points_release(struct points *p)
{
    free(p->x);
    free(p->y);
}

/* Each point becomes the mean of those around it, a twentieth of the run together. */
static struct points smoothed(const struct points *p)
{
    struct points s = {.x = xcalloc(p->n + 1, sizeof *s.x), .y = xcalloc(p->n + 1, sizeof *s.y)};
    const size_t reach = p->n / 40 + 1;
    for (size_t i = 0; i < p->n; i++) {
        const size_t lo = i > reach ? i - reach : 0, hi = i + reach < p->n ? i + reach : p->n - 1;
        double sum = 0;
        for (size_t j = lo; j <= hi; j++)
            sum += p->y[j];
        s.x[s.n] = p->x[i];
        s.y[s.n++] = sum / (double)(hi - lo + 1);
    }
    return s;
}

static void curve(struct str *out, const struct points *p, const struct axis *x,
                  const struct axis *y, const char *class, int color)
{
    if (p->n == 0)
        return;
    str_printf(out, "<path class=\"%s c%d\" d=\"", class, color);
    for (size_t i = 0; i < p->n; i++)
        str_printf(out, "%c%.1f %.1f", i ? 'L' : 'M', at(x, p->x[i]), at(y, p->y[i]));
    str_puts(out, "\"/>\n");
}

static void series(struct str *out, const struct plot_series *s, const struct axis *x,
                   const struct axis *y, int color)
{
    struct points p = points_of(s);
    if (s->smooth && p.n > 8) {
        struct points mean = smoothed(&p);
        curve(out, &p, x, y, "raw", color);
        curve(out, &mean, x, y, "line", color);
        points_release(&mean);
    } else {
        curve(out, &p, x, y, "line", color);
    }
    for (size_t i = 0; (s->dots || p.n == 1) && i < p.n; i++) {
        str_printf(out, "<circle class=\"c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"><title>", color,
                   at(x, p.x[i]), at(y, p.y[i]));
        str_printf(out, "%.6g: %.6g</title></circle>\n", p.x[i], p.y[i]);
    }
    points_release(&p);
}

/* ---- panels -------------------------------------------------------------------------------------
 */

/* Widens lo..hi by the finite values of one coordinate; false: none. */
static bool panel_range(const struct plot_panel *p, bool y, double *lo, double *hi)
{
    bool some = false;
    for (size_t s = 0; s < p->n; s++)
        for (size_t i = 0; i < p->series[s].n; i++)
            if (finite_at(&p->series[s], i)) {
                const double v = y ? p->series[s].y[i] : p->series[s].x[i];
                *lo = fmin(*lo, v);
                *hi = fmax(*hi, v);
                some = true;
            }
    return some;
}

static void legend(struct str *out, const struct plot_panel *p, double top)
{
    double right = WIDTH - RIGHT;
    for (size_t i = p->n; i-- > 0 && p->n > 1;) {
        str_printf(out, "<text class=\"small end\" x=\"%.1f\" y=\"%.1f\">", right, top - 10);
        escaped(out, p->series[i].name);
        right -= 7.0 * (double)span_of(p->series[i].name).n + 10;
        str_printf(out, "</text><path class=\"line c%d\" d=\"M%.1f %.1fh-16\"/>\n",
                   (int)(i % N_COLORS), right, top - 14);
        right -= 34;
    }
}

static void panel(struct str *out, const struct plot_panel *p, const struct axis *x, double top,
                  bool last)
{
    struct axis y = {.from = top + PANEL, .to = top};
    double lo = INFINITY, hi = -INFINITY;
    panel_range(p, true, &lo, &hi);
    axis_init(&y, lo, hi, 5, true);
    str_printf(out, "<text class=\"title\" x=\"%d\" y=\"%.1f\">", LEFT, top - 10);
    escaped(out, p->title);
    str_puts(out, "</text>\n");
    legend(out, p, top);
    for (double v = y.lo; v < y.hi + y.step / 2; v += y.step) {
        str_printf(out,
                   "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"small end\" x=\"%d\" "
                   "y=\"%.1f\">",
                   LEFT, at(&y, v), WIDTH - RIGHT, LEFT - 8, at(&y, v) + 4);
        number(out, v, y.step);
        str_puts(out, "</text>\n");
    }
    for (double v = ceil(x->lo / x->step - 1e-9) * x->step; v <= x->hi + x->step * 1e-6;
         v += x->step) {
        str_printf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", at(x, v), top, top + PANEL);
        if (last) {
            str_printf(out, "<text class=\"small mid\" x=\"%.1f\" y=\"%.1f\">", at(x, v),
                       top + PANEL + 18);
            number(out, v, x->step);
            str_puts(out, "</text>");
        }
        str_putc(out, '\n');
    }
    for (size_t i = 0; i < p->n; i++)
        series(out, &p->series[i], x, &y, (int)(i % N_COLORS));
}

static const char style[] =
    "<style>svg{background:#fff;font:13px system-ui,sans-serif;fill:#1d2430}"
    ".head{font-size:16px;font-weight:600}.title{font-weight:600}.small{font-size:12px;fill:#"
    "5b6573}"
    ".end{text-anchor:end}.mid{text-anchor:middle}"
    ".grid{stroke:#e3e7ec;fill:none}.line,.raw{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".raw{stroke-width:1;opacity:.35}"
    ".c0{stroke:#2563c9}.c1{stroke:#c2410c}.c2{stroke:#15803d}.c3{stroke:#7c3aed}.c4{stroke:#"
    "be185d}"
    ".c5{stroke:#64748b}circle{fill:#fff;stroke-width:2}"
    "@media(prefers-color-scheme:dark){svg{background:#14181f;fill:#e6e9ee}.small{fill:#9aa5b4}"
    ".grid{stroke:#2a313c}circle{fill:#14181f}"
    ".c0{stroke:#6ea8fe}.c1{stroke:#fb923c}.c2{stroke:#4ade80}.c3{stroke:#c4a5ff}"
    ".c4{stroke:#f472b6}.c5{stroke:#94a3b8}}</style>\n";

static int put(const char *path, struct str *svg, struct err *err)
{
    struct outfile f;
    int rc = svg->failed ? err_kind_set(err, ERR_LIMIT, "%s: the plot is too large", path)
                         : outfile_open(&f, path, err);
    if (rc == 0) {
        outfile_write(&f, svg->p, svg->n);
        rc = outfile_commit(&f, err);
    }
    str_release(svg);
    return rc;
}

int plot_write(const char *path, const char *title, const char *x_label,
               const struct plot_panel *panels, size_t n_panels, struct err *err)
{
    struct axis x = {.from = LEFT, .to = WIDTH - RIGHT};
    double lo = INFINITY, hi = -INFINITY, unused[2] = {INFINITY, -INFINITY};
    size_t shown = 0, done = 0;
    for (size_t i = 0; i < n_panels; i++)
        shown += panel_range(&panels[i], false, &lo, &hi);
    if (shown == 0)
        return err_set(err, "%s: there is nothing to draw", path);
    axis_init(&x, lo, hi, 8, false);
    const int height = HEAD + (int)shown * (PANEL + GAP) - GAP + 28 + FOOT;
    struct str out = {0};
    str_printf(&out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
               "viewBox=\"0 0 %d %d\" role=\"img\">\n%s<title>",
               WIDTH, height, WIDTH, height, style);
    escaped(&out, title);
    str_printf(&out, "</title>\n<text class=\"head\" x=\"%d\" y=\"28\">", LEFT);
    escaped(&out, title);
    str_puts(&out, "</text>\n");
    for (size_t i = 0; i < n_panels; i++)
        if (panel_range(&panels[i], false, &unused[0], &unused[1])) {
            panel(&out, &panels[i], &x, HEAD + 28 + (double)done * (PANEL + GAP),
                  done + 1 == shown);
            done++;
        }
    str_printf(&out, "<text class=\"small mid\" x=\"%d\" y=\"%d\">", (LEFT + WIDTH - RIGHT) / 2,
               height - 12);
    escaped(&out, x_label);
    str_puts(&out, "</text>\n</svg>\n");
    return put(path, &out, err);
}
