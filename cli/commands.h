/* commands.h - the functions behind the rows of the command table. Each returns the exit code, or
 * -1 with err set. */
#ifndef SEMSEARCH_CLI_COMMANDS_H
#define SEMSEARCH_CLI_COMMANDS_H

#include "cli/args.h"

int cmd_index(const struct args *a, struct err *err);
int cmd_query(const struct args *a, struct err *err);
int cmd_similar(const struct args *a, struct err *err);
int cmd_show(const struct args *a, struct err *err);
int cmd_status(const struct args *a, struct err *err);
int cmd_files(const struct args *a, struct err *err);
int cmd_why(const struct args *a, struct err *err);
int cmd_rm(const struct args *a, struct err *err);
int cmd_verify(const struct args *a, struct err *err);
int cmd_eval(const struct args *a, struct err *err);
int cmd_tune(const struct args *a, struct err *err);
int cmd_train(const struct args *a, struct err *err);
int cmd_model(const struct args *a, struct err *err);
int cmd_attention(const struct args *a, struct err *err);
int cmd_tokenize(const struct args *a, struct err *err);
int cmd_embed(const struct args *a, struct err *err);
int cmd_predict(const struct args *a, struct err *err);
int cmd_similarity(const struct args *a, struct err *err);
int cmd_doctor(const struct args *a, struct err *err);
int cmd_version(const struct args *a, struct err *err);
int cmd_bench(const struct args *a, struct err *err);
int cmd_completions(const struct args *a, struct err *err);
int cmd_help(const struct args *a, struct err *err);

enum exit_code { EXIT_FOUND = 0, EXIT_NOTHING = 1, EXIT_BAD = 2, EXIT_PARTIAL = 3, EXIT_INDEX = 4 };

#endif
