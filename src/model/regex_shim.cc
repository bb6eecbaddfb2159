#include "model/regex_shim.h"

#include <re2/re2.h>
#include <string>
#include <vector>

using re2::RE2;
using re2::StringPiece;

struct regex_shim {
    RE2 re;
    regex_shim(const StringPiece &pattern, const RE2::Options &o) : re(pattern, o) {}
};

static constexpr int64_t max_mem_bytes = 64 << 20;     /* program and state cache, used as needed */

static regex_shim_error error_of(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape: return REGEX_BAD_ESCAPE;
    case RE2::ErrorBadCharClass: return REGEX_BAD_CLASS;
    case RE2::ErrorBadCharRange: return REGEX_BAD_RANGE;
    case RE2::ErrorMissingBracket: return REGEX_MISSING_BRACKET;
    case RE2::ErrorMissingParen: return REGEX_MISSING_PAREN;
    case RE2::ErrorUnexpectedParen: return REGEX_UNEXPECTED_PAREN;
    case RE2::ErrorTrailingBackslash: return REGEX_TRAILING_BACKSLASH;
    case RE2::ErrorRepeatArgument: return REGEX_REPEAT_ARGUMENT;
    case RE2::ErrorRepeatSize: return REGEX_REPEAT_SIZE;
    case RE2::ErrorRepeatOp: return REGEX_REPEAT_OP;
    case RE2::ErrorBadPerlOp: return REGEX_BAD_PERL_OP;
    case RE2::ErrorBadUTF8: return REGEX_BAD_UTF8;
    case RE2::ErrorBadNamedCapture: return REGEX_BAD_NAME;
    case RE2::ErrorPatternTooLarge: return REGEX_TOO_LARGE;
    default: return REGEX_INTERNAL;
    }
}

struct regex_shim *regex_shim_new(const char *pattern, size_t n, struct regex_shim_why *why)
{
    RE2::Options o(RE2::Quiet);
    o.set_dot_nl(true);
    o.set_max_mem(max_mem_bytes);
    regex_shim *r = new regex_shim(StringPiece(pattern, n), o);
    if (r->re.ok()) return r;
    why->code = error_of(r->re.error_code());
    why->arg = r->re.error_arg().data();
    why->n = r->re.error_arg().size();
    why->refused = r;
    return nullptr;
}

void regex_shim_free(struct regex_shim *re) { delete re; }

bool regex_shim_match(const struct regex_shim *re, const char *text, size_t n)
{
    return re->re.Match(StringPiece(text, n), 0, n, RE2::ANCHOR_BOTH, nullptr, 0);
}

int regex_shim_groups(const struct regex_shim *re) { return re->re.NumberOfCapturingGroups(); }

int regex_shim_group_named(const struct regex_shim *re, const char *name, size_t n)
{
    const auto &names = re->re.NamedCapturingGroups();
    auto it = names.find(std::string(name, n));
    return it == names.end() ? -1 : it->second;
}

bool regex_shim_match_groups(
    const struct regex_shim *re, const char *text, size_t n, struct regex_shim_group *groups)
{
    std::vector<StringPiece> found(static_cast<size_t>(re->re.NumberOfCapturingGroups()) + 1);
    if (!re->re.Match(StringPiece(text, n), 0, n, RE2::ANCHOR_BOTH, found.data(),
            static_cast<int>(found.size())))
        return false;
    for (size_t i = 0; i < found.size(); i++) groups[i] = { found[i].data(), found[i].size() };
    return true;
}
