package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"

	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// filling has the module take samples as a server would, one commit a row of requests, and go on with the folder. It is left open, for the
// next filling of it or until who asks kills the program, unless Close asks for a clean end.
type filling struct {
	Dir     string     `json:"dir"`
	Options options    `json:"options"`
	Rows    [][]row    `json:"rows"`
	Compact bool       `json:"compact"`
	Delete  []deletion `json:"delete"`
	Close   bool       `json:"close"`
}

// row is what a request has of a series.
type row struct {
	Labels    [][2]string  `json:"labels"`
	Samples   []sampleJSON `json:"samples"`
	Exemplars []struct {
		T     int64  `json:"t"`
		Value string `json:"v"`
		Trace string `json:"trace"`
	} `json:"exemplars"`
	Metadata *struct {
		Type string `json:"type"`
		Unit string `json:"unit"`
		Help string `json:"help"`
	} `json:"metadata"`
}

type sampleJSON struct {
	T  int64           `json:"t"`
	ST int64           `json:"st"`
	V  json.RawMessage `json:"v"`
}

type layoutJSON struct {
	Hint      uint8           `json:"crh"`
	Schema    int32           `json:"schema"`
	Threshold string          `json:"zt"`
	Zero      json.RawMessage `json:"zc"`
	Count     json.RawMessage `json:"count"`
	Sum       string          `json:"sum"`
	PS        [][2]int64      `json:"ps"`
	NS        [][2]int64      `json:"ns"`
	PB        json.RawMessage `json:"pb"`
	NB        json.RawMessage `json:"nb"`
	Custom    []string        `json:"cv"`
}

func ofBits(s string) float64 {
	u, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		panic(err)
	}
	return math.Float64frombits(u)
}

func ofBitsAll(all []string) []float64 {
	var out []float64
	for _, s := range all {
		out = append(out, ofBits(s))
	}
	return out
}

func parsed[T any](raw json.RawMessage) (out T) {
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}

func spansOf(all [][2]int64) (out []histogram.Span) {
	for _, s := range all {
		out = append(out, histogram.Span{Offset: int32(s[0]), Length: uint32(s[1])})
	}
	return out
}

// histograms reads what whole and floats write; one of the two is nil.
func histograms(l layoutJSON) (*histogram.Histogram, *histogram.FloatHistogram) {
	hint := histogram.CounterResetHint(l.Hint)
	if l.Count[0] != '"' {
		return &histogram.Histogram{
			CounterResetHint: hint, Schema: l.Schema, ZeroThreshold: ofBits(l.Threshold), ZeroCount: parsed[uint64](l.Zero), Count: parsed[uint64](l.Count),
			Sum: ofBits(l.Sum), PositiveSpans: spansOf(l.PS), NegativeSpans: spansOf(l.NS),
			PositiveBuckets: parsed[[]int64](l.PB), NegativeBuckets: parsed[[]int64](l.NB), CustomValues: ofBitsAll(l.Custom),
		}, nil
	}
	return nil, &histogram.FloatHistogram{
		CounterResetHint: hint, Schema: l.Schema, ZeroThreshold: ofBits(l.Threshold), ZeroCount: ofBits(parsed[string](l.Zero)), Count: ofBits(parsed[string](l.Count)),
		Sum: ofBits(l.Sum), PositiveSpans: spansOf(l.PS), NegativeSpans: spansOf(l.NS),
		PositiveBuckets: ofBitsAll(parsed[[]string](l.PB)), NegativeBuckets: ofBitsAll(parsed[[]string](l.NB)), CustomValues: ofBitsAll(l.Custom),
	}
}

func (s sampleJSON) add(app storage.AppenderV2, ref storage.SeriesRef, l labels.Labels, o storage.AOptions) (storage.SeriesRef, error) {
	if s.V[0] == '"' {
		return app.Append(ref, l, s.ST, s.T, ofBits(parsed[string](s.V)), nil, nil, o)
	}
	h, fh := histograms(parsed[layoutJSON](s.V))
	return app.Append(ref, l, s.ST, s.T, 0, h, fh, o)
}

// options of the last sample: the exemplars, which come after what they belong to.
func (r row) options(last bool) (o storage.AOptions) {
	if r.Metadata != nil {
		o.Metadata = metadata.Metadata{Type: model.MetricType(r.Metadata.Type), Unit: r.Metadata.Unit, Help: r.Metadata.Help}
	}
	if last {
		for _, x := range r.Exemplars {
			o.Exemplars = append(o.Exemplars, exemplar.Exemplar{Labels: labels.FromStrings("trace", x.Trace), Value: ofBits(x.Value), Ts: x.T, HasTs: true})
		}
	}
	return o
}

func (r row) add(app storage.AppenderV2) error {
	b := labels.NewScratchBuilder(len(r.Labels))
	for _, l := range r.Labels {
		b.Add(l[0], l[1])
	}
	b.Sort()
	ls := b.Labels()
	ref := storage.SeriesRef(0)
	for i, s := range r.Samples {
		var err error
		if ref, err = s.add(app, ref, ls, r.options(i+1 == len(r.Samples))); err != nil {
			return fmt.Errorf("%s at %d: %w", ls, s.T, err)
		}
	}
	return nil
}

var open = map[string]*tsdb.DB{}

func (f filling) db() (*tsdb.DB, error) {
	if db, ok := open[f.Dir]; ok {
		return db, nil
	}
	db, err := tsdb.Open(f.Dir, slog.New(slog.NewTextHandler(io.Discard, nil)), nil, f.Options.tsdb(), nil)
	if err != nil {
		return nil, err
	}
	db.DisableCompactions()
	open[f.Dir] = db
	return db, nil
}

func (f filling) run() ([]string, error) {
	db, err := f.db()
	if err != nil {
		return nil, err
	}
	err = f.fill(db)
	if f.Close {
		delete(open, f.Dir)
		err = errors.Join(err, db.Close())
	}
	return []string{}, err
}

func (f filling) fill(db *tsdb.DB) error {
	for _, rows := range f.Rows {
		app := db.AppenderV2(context.Background())
		for _, r := range rows {
			if err := r.add(app); err != nil {
				return err
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
	}
	for _, d := range f.Delete {
		m, err := labels.NewMatcher(labels.MatchRegexp, d.Label, d.Match)
		if err != nil {
			return err
		}
		if err := db.Delete(context.Background(), d.Mint, d.Maxt, m); err != nil {
			return err
		}
	}
	if !f.Compact {
		return nil
	}
	db.EnableCompactions()
	err := db.Compact(context.Background())
	db.DisableCompactions()
	return err
}
