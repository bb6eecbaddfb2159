#include "model/metadata.h"

static const str type_names[METRIC_TYPES] = {
    [TYPE_UNKNOWN] = S("unknown"),
    [TYPE_COUNTER] = S("counter"),
    [TYPE_GAUGE] = S("gauge"),
    [TYPE_HISTOGRAM] = S("histogram"),
    [TYPE_GAUGE_HISTOGRAM] = S("gaugehistogram"),
    [TYPE_SUMMARY] = S("summary"),
    [TYPE_INFO] = S("info"),
    [TYPE_STATESET] = S("stateset"),
};

str metric_type_name(enum metric_type t) { return type_names[t]; }

bool metric_type_parse(str word, enum metric_type *out)
{
    for (size_t t = 0; t < METRIC_TYPES; t++) {
        if (!str_eq(word, type_names[t])) continue;
        *out = (enum metric_type)t;
        return true;
    }
    return false;
}
