package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
)

// list writes what each gives, in brackets.
func list[T any](all []T, each func(T) string) string {
	out := make([]string, len(all))
	for i, x := range all {
		out[i] = each(x)
	}
	return "[" + strings.Join(out, ",") + "]"
}

func bits(v float64) string        { return fmt.Sprintf("\"%016x\"", math.Float64bits(v)) }
func integer(v int64) string       { return strconv.FormatInt(v, 10) }
func span(s histogram.Span) string { return fmt.Sprintf("[%d,%d]", s.Offset, s.Length) }

func layout(hint histogram.CounterResetHint, schema int32, threshold float64, zero, count, sum string, p, n []histogram.Span, pb, nb string, custom []float64) string {
	return fmt.Sprintf(`{"crh":%d,"schema":%d,"zt":%s,"zc":%s,"count":%s,"sum":%s,"ps":%s,"ns":%s,"pb":%s,"nb":%s,"cv":%s}`,
		hint, schema, bits(threshold), zero, count, sum, list(p, span), list(n, span), pb, nb, list(custom, bits))
}

// whole and floats write a histogram as `epitool tsdb dump` does.
func whole(h *histogram.Histogram) string {
	return layout(h.CounterResetHint, h.Schema, h.ZeroThreshold, strconv.FormatUint(h.ZeroCount, 10), strconv.FormatUint(h.Count, 10), bits(h.Sum),
		h.PositiveSpans, h.NegativeSpans, list(h.PositiveBuckets, integer), list(h.NegativeBuckets, integer), h.CustomValues)
}

func floats(h *histogram.FloatHistogram) string {
	return layout(h.CounterResetHint, h.Schema, h.ZeroThreshold, bits(h.ZeroCount), bits(h.Count), bits(h.Sum),
		h.PositiveSpans, h.NegativeSpans, list(h.PositiveBuckets, bits), list(h.NegativeBuckets, bits), h.CustomValues)
}
