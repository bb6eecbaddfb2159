#include "base/f64_shim.h"

#include <charconv>
#include <cmath>
#include <double-conversion/double-conversion.h>

using double_conversion::StringToDoubleConverter;

/* from_chars does not say on which side a number is out of range: the other library reads those
 * few. */
static bool f64_shim_parse_extreme(const char *text, size_t n, double *out)
{
    static const StringToDoubleConverter reader(
        StringToDoubleConverter::NO_FLAGS, 0.0, 0.0, nullptr, nullptr);
    int used = 0;
    double v = reader.StringToDouble(text, static_cast<int>(n), &used);
    if (std::isinf(v)) return false;
    *out = v;
    return true;
}

bool f64_shim_parse(const char *text, size_t n, double *out)
{
    double v = 0;
    std::from_chars_result r = std::from_chars(text, text + n, v, std::chars_format::general);
    if (r.ec != std::errc()) return f64_shim_parse_extreme(text, n, out);
    *out = v;
    return true;
}
