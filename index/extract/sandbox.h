/* sandbox.h - confines this process before it touches a hostile document.
 *
 * Layers, each best effort, because kernels differ: resource limits, no new privileges, Landlock
 * (no file may be opened but the system's libraries and data; no TCP), and a seccomp filter where
 * libseccomp was there at build time (no sockets, no programs, no tracing). What took effect is
 * told, for `doctor`.
 */
#ifndef SEMSEARCH_INDEX_EXTRACT_SANDBOX_H
#define SEMSEARCH_INDEX_EXTRACT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* Built with AddressSanitizer, which needs its own way with memory and stderr. */
extern const bool sandbox_sanitizer_build;

/* For a process that parses: nothing can be executed. memory_bytes 0: no limit. */
void sandbox_parser(size_t memory_bytes, char *layers, size_t n_layers);

/* For a process that is about to execute `program` (absolute path). */
void sandbox_program(size_t memory_bytes, int cpu_seconds, const char *program);

/* The parser may use so many more seconds of processor time, counted from now. */
void sandbox_cpu_from_now(int seconds);

/* The seccomp layer (seccomp.c, or seccomp_none.c where there is no libseccomp); false: not there.
 */
bool seccomp_confine(bool may_execute);

#endif
