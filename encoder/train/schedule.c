/* schedule.c - the factor of the learning rate at each update: linear warm-up from 0, then linear
 * or cosine decay to 0, or constant from the start; transformers/optimization.py. */
#include "encoder/train/optim.h"

#include <math.h>

double schedule_factor(enum schedule_kind kind, int64_t step, int64_t warmup, int64_t total)
{
    if (kind == SCHEDULE_CONSTANT)
        return 1;
    if (step < warmup)
        return (double)step / (double)(warmup > 1 ? warmup : 1);
    const int64_t rest = total - warmup > 1 ? total - warmup : 1;
    if (kind == SCHEDULE_LINEAR)
        return fmax(0, (double)(total - step) / (double)rest);
    return fmax(0, 0.5 * (1 + cos(acos(-1) * (double)(step - warmup) / (double)rest)));
}
