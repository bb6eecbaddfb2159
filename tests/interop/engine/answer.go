package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// Question is a query; StepMs 0: instant, at EndMs.
type Question struct {
	Query      string `json:"query"`
	StartMs    int64  `json:"start"`
	EndMs      int64  `json:"end"`
	StepMs     int64  `json:"step"`
	LookbackMs int64  `json:"lookback"` // 0: 5 minutes; below 0: less than a millisecond
	Kept       bool   `json:"kept"`     // it may be answered by what is kept; then nothing is counted
}

// Answer is what our engine made of a question: a value, or Err.
type Answer struct {
	Value           parser.Value
	Warnings, Infos []string
	Counts          Counts
	Kept            bool // some of it was kept
	Err             error
}

// Counts is how many samples an evaluation went through and read, at all and at each step, and the most that it held.
type Counts struct {
	Total   int64   `json:"total"`
	Read    int64   `json:"read"`
	Peak    int64   `json:"peak"`
	TotalAt []int64 `json:"total_at"`
	ReadAt  []int64 `json:"read_at"`
}

type bits float64

func (b *bits) UnmarshalJSON(raw []byte) error {
	text, err := strconv.Unquote(string(raw))
	if err != nil {
		return err
	}
	u, err := strconv.ParseUint(text, 16, 64)
	*b = bits(math.Float64frombits(u))
	return err
}

func plain(all []bits) (out []float64) {
	for _, b := range all {
		out = append(out, float64(b))
	}
	return out
}

type spans [][2]int64

func (all spans) plain() (out []histogram.Span) {
	for _, s := range all {
		out = append(out, histogram.Span{Offset: int32(s[0]), Length: uint32(s[1])})
	}
	return out
}

type histogramJSON struct {
	Hint      uint8  `json:"crh"`
	Schema    int32  `json:"schema"`
	Threshold bits   `json:"zt"`
	Zero      bits   `json:"zc"`
	Count     bits   `json:"count"`
	Sum       bits   `json:"sum"`
	PS        spans  `json:"ps"`
	NS        spans  `json:"ns"`
	PB        []bits `json:"pb"`
	NB        []bits `json:"nb"`
	Custom    []bits `json:"cv"`
}

func (h histogramJSON) histogram() *histogram.FloatHistogram {
	return &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(h.Hint), Schema: h.Schema, ZeroThreshold: float64(h.Threshold), ZeroCount: float64(h.Zero),
		Count: float64(h.Count), Sum: float64(h.Sum), PositiveSpans: h.PS.plain(), NegativeSpans: h.NS.plain(),
		PositiveBuckets: plain(h.PB), NegativeBuckets: plain(h.NB), CustomValues: plain(h.Custom),
	}
}

// point is [ms, bits] or [ms, histogram].
type point struct {
	t int64
	f float64
	h *histogram.FloatHistogram
}

func (p *point) UnmarshalJSON(raw []byte) error {
	var two [2]json.RawMessage
	if err := json.Unmarshal(raw, &two); err != nil {
		return err
	}
	if err := json.Unmarshal(two[0], &p.t); err != nil {
		return err
	}
	if two[1][0] == '"' {
		return json.Unmarshal(two[1], (*bits)(&p.f))
	}
	var h histogramJSON
	err := json.Unmarshal(two[1], &h)
	p.h = h.histogram()
	return err
}

type seriesJSON struct {
	Labels [][2]string `json:"labels"`
	Points []point     `json:"points"`
}

type answerJSON struct {
	Kind     string       `json:"kind"`
	Series   []seriesJSON `json:"series"`
	Text     string       `json:"text"`
	At       int64        `json:"at"`
	Warnings []string     `json:"warnings"`
	Infos    []string     `json:"infos"`
	Counts   Counts       `json:"counts"`
	Kept     bool         `json:"kept"`
	Error    *string      `json:"error"`
}

func (s seriesJSON) labels() labels.Labels {
	b := labels.NewScratchBuilder(len(s.Labels))
	for _, l := range s.Labels {
		b.Add(l[0], l[1])
	}
	return b.Labels()
}

func (a answerJSON) matrix() promql.Matrix {
	m := promql.Matrix{}
	for _, s := range a.Series {
		one := promql.Series{Metric: s.labels()}
		for _, p := range s.Points {
			if p.h != nil {
				one.Histograms = append(one.Histograms, promql.HPoint{T: p.t, H: p.h})
			} else {
				one.Floats = append(one.Floats, promql.FPoint{T: p.t, F: p.f})
			}
		}
		m = append(m, one)
	}
	return m
}

func (a answerJSON) vector() promql.Vector {
	v := promql.Vector{}
	for _, s := range a.Series {
		v = append(v, promql.Sample{Metric: s.labels(), T: s.Points[0].t, F: s.Points[0].f, H: s.Points[0].h})
	}
	return v
}

func (a answerJSON) value() (parser.Value, error) {
	switch a.Kind {
	case "matrix":
		return a.matrix(), nil
	case "vector":
		return a.vector(), nil
	case "scalar":
		p := a.Series[0].Points[0]
		return promql.Scalar{T: p.t, V: p.f}, nil
	case "string":
		return promql.String{T: a.At, V: a.Text}, nil
	}
	return nil, fmt.Errorf("a result of kind %q", a.Kind)
}

// Query asks a question.
func (f *Folder) Query(q Question) Answer {
	var said answerJSON
	if err := f.ask(q, &said); err != nil {
		return Answer{Err: fmt.Errorf("answer: %w", err)}
	}
	if said.Error != nil {
		return Answer{Err: errors.New(*said.Error)}
	}
	v, err := said.value()
	return Answer{Value: v, Warnings: said.Warnings, Infos: said.Infos, Counts: said.Counts, Kept: said.Kept, Err: err}
}

// Parse prints what it reads of an expression.
func (f *Folder) Parse(expr string) (string, error) {
	var said answerJSON
	if err := f.ask(map[string]string{"parse": expr}, &said); err != nil {
		return "", err
	}
	if said.Error != nil {
		return "", errors.New(*said.Error)
	}
	return said.Text, nil
}

// note is an annotation whose words are complete.
type note struct {
	text string
	kind error
}

func (n note) Error() string { return n.text }
func (n note) Unwrap() error { return n.kind }

// place is what an annotation says of the query it belongs to: where in it, and what of its samples.
var place = regexp.MustCompile(`(, from buckets .* with a max diff of .*)? \(\d+:\d+\)$`)

// Annotations gives warnings and infos as the module holds them: without their places.
func (a Answer) Annotations() annotations.Annotations {
	var all annotations.Annotations
	for _, w := range a.Warnings {
		all.Add(note{place.ReplaceAllString(w, ""), annotations.PromQLWarning})
	}
	for _, i := range a.Infos {
		all.Add(note{place.ReplaceAllString(i, ""), annotations.PromQLInfo})
	}
	return all
}
