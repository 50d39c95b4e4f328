/* train_files.h - what surrounds a training run: its options, folders, curves, report, judged
 * collections, mined negatives. */
#ifndef SEMSEARCH_CLI_TRAIN_FILES_H
#define SEMSEARCH_CLI_TRAIN_FILES_H

#include "cli/output.h"
#include "cli/registry.h"
#include "encoder/train/train.h"

/* The folder that a run writes to: `out`, or that of what is resumed; owned, may be NULL. */
char *train_out_dir(const char *out, const char *resume);
/* Refuses a folder that holds something, unless it may be overwritten. */
int train_check_out(const char *out, bool overwrite, struct err *err) WARN_UNUSED;
/* Draws DIR/metrics.jsonl. */
int train_plot(const char *dir, const char *file, const char *title, struct err *err) WARN_UNUSED;
/* Adds to an error how the run in `resume` was started; returns -1. */
int train_resume_hint(const char *resume, struct err *err);
const char *train_version(void);

/* All options but those about where weights begin, over train_defaults(). */
int train_settings(const struct args *a, struct train_options *o, struct err *err) WARN_UNUSED;
/* Where weights begin; `entry` is filled when it is a base, and is the caller's to release. */
int train_beginning(const struct args *a, struct train_options *o, struct registry_entry *entry,
                    struct err *err) WARN_UNUSED;
/* The command as it was typed, for messages and training.json. */
void train_typed(const struct args *a, struct str *out);
/* The options about data files, over data_defaults(). */
int train_data_settings(const struct args *a, struct data_options *o, struct err *err) WARN_UNUSED;

/* Progress on a bar; the sink is valid as long as the bar. */
struct train_sink train_show(struct bar *bar);
void train_report_out(const struct args *a, const struct train_options *o,
                      const struct train_report *r, const char *out_dir);

/* Held-out questions from a folder in BEIR's layout. */
struct judged_folder;
/* --eval-data that names a folder is read into *out, for `o`; else *out stays NULL. */
int train_judged(const struct args *a, struct train_options *o, struct judged_folder **out,
                 struct err *err) WARN_UNUSED;
void judged_folder_free(struct judged_folder *f); /* NULL is fine */

/* Training data with mined negatives, in a file of its own. */
struct mined {
    char *dir, *file;
    const char *name[1];
};
/* With --mine-negatives: searches the index for each row's anchor and writes the rows with their
 * negatives to a file that then stands in for the data of `o`. Counts are noted. */
int train_mine(const struct args *a, struct train_options *o, struct mined *m,
               struct err *err) WARN_UNUSED;
void mined_release(struct mined *m);

#endif
