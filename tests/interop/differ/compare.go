package main

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"interop/engine"
)

// ruler compares values: by their bits where exact says so, else within the tolerance.
type ruler struct {
	tolerance float64
	loose     int // values that were equal only within it
	bits      bool
}

func (r *ruler) same(a, b float64) bool {
	switch {
	case math.Float64bits(a) == math.Float64bits(b), math.IsNaN(a) && math.IsNaN(b):
		return true
	case r.bits:
		return false
	case math.IsNaN(a) != math.IsNaN(b), math.IsInf(a, 0) || math.IsInf(b, 0):
		return false
	case a == b: // zeros of both signs
		r.loose++
		return true
	}
	r.loose++
	return math.Abs(a-b) <= r.tolerance*max(math.Abs(a), math.Abs(b))
}

func (r *ruler) sameAll(a, b []float64) bool {
	return slices.EqualFunc(a, b, r.same)
}

// buckets is what a side holds, index by index, without those that are empty.
func buckets(spans []histogram.Span, at []float64) map[int32]float64 {
	out, index, k := map[int32]float64{}, int32(0), 0
	for _, s := range spans {
		index += s.Offset
		for range s.Length {
			if at[k] != 0 {
				out[index] = at[k]
			}
			index, k = index+1, k+1
		}
	}
	return out
}

func (r *ruler) sameSide(as, bs []histogram.Span, a, b []float64) bool {
	x, y := buckets(as, a), buckets(bs, b)
	for i := range y {
		if _, ok := x[i]; !ok {
			x[i] = 0
		}
	}
	for i, v := range x {
		if !r.same(v, y[i]) {
			return false
		}
	}
	return true
}

// sameHint: whether it is still known that there was no reset depends on how many samples were read in one go.
func (r *ruler) sameHint(a, b histogram.CounterResetHint) bool {
	unknown := func(h histogram.CounterResetHint) bool {
		return h == histogram.UnknownCounterReset || h == histogram.NotCounterReset
	}
	if a != b && unknown(a) && unknown(b) {
		r.loose++
		return true
	}
	return a == b
}

func (r *ruler) sameHistogram(a, b *histogram.FloatHistogram) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Schema == b.Schema && r.sameHint(a.CounterResetHint, b.CounterResetHint) && r.same(a.ZeroThreshold, b.ZeroThreshold) &&
		(a.UsesCustomBuckets() || r.same(a.ZeroCount, b.ZeroCount)) && r.same(a.Count, b.Count) && r.same(a.Sum, b.Sum) && r.sameAll(a.CustomValues, b.CustomValues) &&
		r.sameSide(a.PositiveSpans, b.PositiveSpans, a.PositiveBuckets, b.PositiveBuckets) &&
		r.sameSide(a.NegativeSpans, b.NegativeSpans, a.NegativeBuckets, b.NegativeBuckets)
}

func (r *ruler) series(a, b promql.Series) string {
	if a.Metric.String() != b.Metric.String() {
		return fmt.Sprintf("series %s, ours is %s", a.Metric, b.Metric)
	}
	if len(a.Floats) != len(b.Floats) || len(a.Histograms) != len(b.Histograms) {
		return fmt.Sprintf("%s: %d floats, %d histograms; ours %d, %d", a.Metric, len(a.Floats), len(a.Histograms), len(b.Floats), len(b.Histograms))
	}
	for i, p := range a.Floats {
		q := b.Floats[i]
		if p.T != q.T || !r.same(p.F, q.F) {
			return fmt.Sprintf("%s: %v at %d; ours %v at %d", a.Metric, p.F, p.T, q.F, q.T)
		}
	}
	for i, p := range a.Histograms {
		q := b.Histograms[i]
		if p.T != q.T || !r.sameHistogram(p.H, q.H) {
			return fmt.Sprintf("%s: %s at %d; ours %s at %d", a.Metric, p.H.TestExpression(), p.T, q.H.TestExpression(), q.T)
		}
	}
	return ""
}

// matrix sees vectors as matrices of one point a series.
func matrix(v parser.Value) promql.Matrix {
	switch v := v.(type) {
	case promql.Matrix:
		return v
	case promql.Vector:
		m := promql.Matrix{}
		for _, s := range v {
			one := promql.Series{Metric: s.Metric}
			if s.H != nil {
				one.Histograms = []promql.HPoint{{T: s.T, H: s.H}}
			} else {
				one.Floats = []promql.FPoint{{T: s.T, F: s.F}}
			}
			m = append(m, one)
		}
		return m
	case promql.Scalar:
		return promql.Matrix{{Floats: []promql.FPoint{{T: v.T, F: v.V}}}}
	}
	return nil
}

func text(v parser.Value) string {
	if s, ok := v.(promql.String); ok {
		return fmt.Sprintf("%q at %d", s.V, s.T)
	}
	return ""
}

// values compares two results; series may come in any order unless ordered.
func (r *ruler) values(a, b parser.Value, ordered bool) string {
	if a.Type() != b.Type() || text(a) != text(b) {
		return fmt.Sprintf("a %s %s; ours a %s %s", a.Type(), text(a), b.Type(), text(b))
	}
	x, y := slices.Clone(matrix(a)), slices.Clone(matrix(b))
	if !ordered {
		sort.Stable(x)
		sort.Stable(y)
	}
	for i := range min(len(x), len(y)) {
		if why := r.series(x[i], y[i]); why != "" {
			return why
		}
	}
	if len(x) != len(y) {
		return fmt.Sprintf("%d series; ours %d", len(x), len(y))
	}
	return ""
}

const peakOnly = "peak of samples "

// counts compares what the engines say of the samples that they went through.
func counts(a, b engine.Counts) string {
	if a.Total == b.Total && a.Read == b.Read && a.Peak == b.Peak && slices.Equal(a.TotalAt, b.TotalAt) && slices.Equal(a.ReadAt, b.ReadAt) {
		return ""
	}
	if peak := a.Peak; peak != b.Peak {
		a.Peak = b.Peak
		if counts(a, b) == "" {
			return fmt.Sprintf("%s%d; ours %d", peakOnly, peak, b.Peak)
		}
		a.Peak = peak
	}
	return fmt.Sprintf("samples %+v\n  ours    %+v", a, b)
}

func texts(a, b []string) string {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	if slices.Equal(a, b) {
		return ""
	}
	return fmt.Sprintf("notes\n      %s\n  ours\n      %s", strings.Join(a, "\n      "), strings.Join(b, "\n      "))
}
