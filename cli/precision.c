/* precision.c - see precision.h. */
#include "cli/precision.h"

#include <math.h>

int precision_check(const struct registry_entry *from, bool measure, int threads,
                    struct model_fitness fitness[MODEL_FITNESSES], struct err *err)
{
    const struct model_options options = {.pooling = from->pooling};
    return model_check(from->path, &options, measure, threads, fitness, err);
}

const char *precision_auto(const struct model_fitness fitness[MODEL_FITNESSES])
{
    for (int i = MODEL_FITNESSES - 1; i >= 0; i--)
        if (fitness[i].here && fitness[i].passed)
            return fitness[i].precision;
    return "fp32";
}

void precision_text(const struct model_fitness fitness[MODEL_FITNESSES], struct str *out)
{
    for (int i = 0; i < MODEL_FITNESSES; i++) {
        const struct model_fitness *f = &fitness[i];
        str_printf(out, "%-11s ", f->precision);
        if (!f->here)
            str_puts(out, "not on this machine\n");
        else if (!f->known)
            str_puts(out, "not measured yet; the first `semsearch index` with --precision auto "
                          "does it\n");
        else
            str_printf(out,
                       "%s: cosine to fp32 %.5f on average, %.5f at worst; %.2f %% of the "
                       "order kept\n",
                       f->passed ? "good" : "not good enough for auto", f->mean_cosine,
                       f->worst_cosine, 100 * f->order);
    }
}

void precision_json(const struct model_fitness fitness[MODEL_FITNESSES], struct json_writer *w)
{
    jw_key(w, "precisions");
    jw_object(w);
    for (int i = 0; i < MODEL_FITNESSES; i++) {
        const struct model_fitness *f = &fitness[i];
        jw_key(w, f->precision);
        jw_object(w);
        jw_kbool(w, "available", f->here);
        jw_kbool(w, "measured", f->known);
        jw_kbool(w, "passed", f->passed);
        jw_kfloat(w, "mean_cosine", f->known ? f->mean_cosine : NAN, 6); /* NAN: null */
        jw_kfloat(w, "worst_cosine", f->known ? f->worst_cosine : NAN, 6);
        jw_kfloat(w, "order_kept", f->known ? f->order : NAN, 6);
        jw_end(w);
    }
    jw_end(w);
}
