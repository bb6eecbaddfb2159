/* regex_shim.h — the regular expression library, as C functions.
 *
 * What        Compiling, matching a whole text, and its groups.
 * Invariants  none
 * Ownership   regex_shim_new/regex_shim_free
 * Threads     a compiled expression is const: any
 * Errors      regex_shim_new: NULL, and why
 * Format      RE2 syntax, UTF-8, dot matches newline
 */
#ifndef EPI_MODEL_REGEX_SHIM_H
#define EPI_MODEL_REGEX_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum regex_shim_error {
    REGEX_INTERNAL,
    REGEX_BAD_ESCAPE,
    REGEX_BAD_CLASS,
    REGEX_BAD_RANGE,
    REGEX_MISSING_BRACKET,
    REGEX_MISSING_PAREN,
    REGEX_UNEXPECTED_PAREN,
    REGEX_TRAILING_BACKSLASH,
    REGEX_REPEAT_ARGUMENT,
    REGEX_REPEAT_SIZE,
    REGEX_REPEAT_OP,
    REGEX_BAD_PERL_OP,
    REGEX_BAD_UTF8,
    REGEX_BAD_NAME,
    REGEX_TOO_LARGE,
    REGEX_SHIM_ERRORS
};
struct regex_shim;
/* arg: the guilty part, n bytes of `refused` */
struct regex_shim_why {
    enum regex_shim_error code;
    const char *arg;
    size_t n;
    struct regex_shim *refused;
};

/* NULL: why->refused has to be freed */
struct regex_shim *regex_shim_new(const char *pattern, size_t n, struct regex_shim_why *why);
void regex_shim_free(struct regex_shim *re);
/* anchored at both ends */
bool regex_shim_match(const struct regex_shim *re, const char *text, size_t n);

/* p NULL: took no part in the match */
struct regex_shim_group { const char *p; size_t n; };
int regex_shim_groups(const struct regex_shim *re);            /* groups besides the whole match */
/* -1: none */
int regex_shim_group_named(const struct regex_shim *re, const char *name, size_t n);

/* As regex_shim_match; groups has room for the whole match and every group. */
bool regex_shim_match_groups(
    const struct regex_shim *re, const char *text, size_t n, struct regex_shim_group *groups);

#ifdef __cplusplus
}
#endif

#endif
