package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand"
	"os"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const (
	minuteMs = int64(60_000)
	spanMs   = 40 * minuteMs // of the samples

	leastStepMs = int64(7_000) // between two samples of a series
)

// data is a random data set in a folder of the module's storage.
type data struct {
	rng     *rand.Rand
	dir     string
	db      *tsdb.DB
	xor2    bool
	baseMs  int64
	rangeMs int64 // of a block
	lateMs  int64 // how much late a sample may be
	wild    bool  // NaN, infinities and numbers far apart are frequent
	all     []*stream
}

// newData makes one of samples up to untilMs from its start.
func newData(rng *rand.Rand, lateMs, untilMs int64) (*data, error) {
	dir, err := os.MkdirTemp("", "differ")
	if err != nil {
		return nil, err
	}
	d := &data{rng: rng, dir: dir, lateMs: lateMs, xor2: rng.Intn(2) == 0, wild: rng.Intn(3) == 0}
	d.baseMs = pick(rng, 0, 1_600_000_000_000, 1_600_000_000_000+rng.Int63n(100_000_000))
	d.rangeMs = pick(rng, 10*minuteMs, 24*60*minuteMs) // short ones become blocks
	o := tsdb.DefaultOptions()
	o.RetentionDuration = 0
	o.StripeSize = 512
	o.OutOfOrderTimeWindow = lateMs
	o.WALSegmentSize, o.MaxBlockChunkSegmentSize = 1<<20, 1<<20
	o.MinBlockDuration, o.MaxBlockDuration = d.rangeMs, d.rangeMs
	if d.xor2 {
		o.EnableSTStorage, o.EnableHistogramSTEncoding, o.XOR2EncodingAllowed = true, true, true
		o.FloatChunkEncoding = chunkenc.EncXOR2
	}
	if d.db, err = tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, o, nil); err != nil {
		return nil, err
	}
	d.db.DisableCompactions() // but for those that are asked for
	if err = d.fill(untilMs); err != nil {
		return nil, err
	}
	return d, d.db.Compact(context.Background())
}

func (d *data) close() {
	_ = d.db.Close()
	_ = os.RemoveAll(d.dir)
}

// stream gives the samples of one series, one after the other.
type stream struct {
	labels labels.Labels
	next   func(i int) (float64, *histogram.FloatHistogram)
	hint   histogram.CounterResetHint
	st     int64
	step   int64
	jitter int64
	gaps   float64
	whole  bool
	i      int   // how many there were
	t      int64 // of the next one, from the start of the data
}

func (d *data) chance(p float64) bool { return d.rng.Float64() < p }

func pick[T any](rng *rand.Rand, all ...T) T { return all[rng.Intn(len(all))] }

func (d *data) special() float64 {
	return pick(d.rng, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 1e100, -1e100, 5e-324, 1e-300, math.MaxFloat64, 0, 1)
}

// counter grows and begins anew now and then.
func (d *data) counter(whole bool, resets float64) func(int) float64 {
	v := float64(d.rng.Intn(100))
	return func(int) float64 {
		if d.chance(resets) {
			v = 0
		}
		by := d.rng.Float64() * 20
		if whole {
			by = math.Floor(by)
		}
		v += by
		if d.wild && d.chance(0.01) {
			return d.special()
		}
		return v
	}
}

func (d *data) gauge() func(int) float64 {
	whole, scale, odd := d.chance(0.5), math.Pow(10, float64(d.rng.Intn(7)-3)), 0.0
	if d.wild {
		odd = 0.15
	}
	return func(int) float64 {
		if d.chance(odd) {
			return d.special()
		}
		v := d.rng.NormFloat64() * scale
		if whole {
			v = math.Round(v * 10 / scale)
		}
		return v
	}
}

func (d *data) spans(n int) (out []histogram.Span, buckets int) {
	for range n {
		s := histogram.Span{Offset: int32(d.rng.Intn(4)), Length: uint32(1 + d.rng.Intn(3))}
		switch {
		case d.chance(0.04): // far away
			s.Offset += int32(d.rng.Intn(400))
		case d.chance(0.04):
			s.Length += uint32(d.rng.Intn(40))
		}
		if len(out) == 0 {
			s.Offset -= pick(d.rng, int32(2), 2, 2, 7, 150)
		}
		out, buckets = append(out, s), buckets+int(s.Length)
	}
	return out, buckets
}

// layout makes a histogram without observations.
func (d *data) layout(custom bool) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{Schema: int32(d.rng.Intn(6)) - 1}
	if d.chance(0.15) {
		h.Schema = int32(d.rng.Intn(13)) - 4
	}
	if custom {
		h.Schema = histogram.CustomBucketsSchema
		n := 1 + d.rng.Intn(5)
		for i := range n {
			h.CustomValues = append(h.CustomValues, float64(i*pick(d.rng, 1, 5))+pick(d.rng, 0.0, 0.5, -2))
		}
		for i := 1; i < n; i++ {
			if h.CustomValues[i] <= h.CustomValues[i-1] {
				h.CustomValues[i] = h.CustomValues[i-1] + 1
			}
		}
		h.PositiveSpans = []histogram.Span{{Offset: 0, Length: uint32(n + 1)}}
		h.PositiveBuckets = make([]float64, n+1)
		return h
	}
	h.ZeroThreshold = pick(d.rng, 0, 0.001, 0.5, 1e-128, 3, 0.001)
	var n int
	h.PositiveSpans, n = d.spans(d.rng.Intn(4))
	h.PositiveBuckets = make([]float64, n)
	h.NegativeSpans, n = d.spans(d.rng.Intn(3))
	h.NegativeBuckets = make([]float64, n)
	return h
}

// observe adds to every bucket and keeps count and sum with them.
func (d *data) observe(h *histogram.FloatHistogram, scale float64) {
	broken := d.wild && d.chance(0.2)
	add := func(at *float64) {
		n := d.rng.Float64() * scale
		if !broken {
			n = math.Floor(n)
		}
		*at += n
		h.Count += n
	}
	for i := range h.PositiveBuckets {
		add(&h.PositiveBuckets[i])
	}
	for i := range h.NegativeBuckets {
		add(&h.NegativeBuckets[i])
	}
	if h.Schema != histogram.CustomBucketsSchema {
		add(&h.ZeroCount)
	}
	h.Sum += d.rng.NormFloat64() * 10 * scale
	if d.wild && d.chance(0.03) {
		h.Sum = d.special()
	}
}

func clear0(h *histogram.FloatHistogram) {
	h.Count, h.Sum, h.ZeroCount = 0, 0, 0
	for i := range h.PositiveBuckets {
		h.PositiveBuckets[i] = 0
	}
	for i := range h.NegativeBuckets {
		h.NegativeBuckets[i] = 0
	}
}

// histograms gives those of one series; its layout changes now and then.
func (d *data) histograms(custom, gauge bool) func(int) *histogram.FloatHistogram {
	h := d.layout(custom)
	change := pick(d.rng, 0, 0, 0.05)
	return func(int) *histogram.FloatHistogram {
		if d.chance(change) {
			kind := custom
			if d.chance(0.2) {
				kind = !kind
			}
			h = d.layout(kind)
		}
		if gauge || d.chance(0.04) {
			clear0(h)
		}
		d.observe(h, pick(d.rng, 1.0, 4, 100))
		return h.Copy()
	}
}

func (d *data) floats(f func(int) float64) func(int) (float64, *histogram.FloatHistogram) {
	return func(i int) (float64, *histogram.FloatHistogram) { return f(i), nil }
}

func native(f func(int) *histogram.FloatHistogram) func(int) (float64, *histogram.FloatHistogram) {
	return func(i int) (float64, *histogram.FloatHistogram) { return 0, f(i) }
}

func (d *data) either(f func(int) float64, h func(int) *histogram.FloatHistogram) func(int) (float64, *histogram.FloatHistogram) {
	in := false
	return func(i int) (float64, *histogram.FloatHistogram) {
		if d.chance(0.1) {
			in = !in
		}
		if in {
			return 0, h(i)
		}
		return f(i), nil
	}
}

// classic gives the buckets of one classic histogram; now and then one of them is behind.
func (d *data) classic(ls labels.Labels, out []*stream) []*stream {
	sum := 0.0
	for _, le := range []string{"0.1", "0.5", "1", "5", "+Inf"} {
		grow, v, lag := d.rng.Float64()*3, sum, d.chance(0.1)
		sum += 10
		b := labels.NewBuilder(ls)
		b.Set(labels.MetricName, "b_bucket").Set("le", pick(d.rng, le, le, le, le, le, le, le, le, le, "x"+le, le+"0"))
		next := func(int) (float64, *histogram.FloatHistogram) {
			v += math.Floor(grow * 3)
			if lag && d.chance(0.1) {
				return v - 11, nil
			}
			return v, nil
		}
		out = append(out, &stream{labels: b.Labels(), next: next})
	}
	return out
}

// typed are labels of metadata, some of them.
func typed(d *data) (out []string) {
	if d.chance(0.8) {
		out = append(out, "__type__", pick(d.rng, "counter", "gauge", "histogram"))
	}
	if d.chance(0.5) {
		out = append(out, "__unit__", pick(d.rng, "seconds", "bytes"))
	}
	return out
}

func (d *data) streams() (out []*stream) {
	seen := map[uint64]bool{}
	jobs, instances := 1+d.rng.Intn(3), 1+d.rng.Intn(4)
	for j := range jobs {
		for i := range instances {
			ls := func(name string, more ...string) labels.Labels {
				b := labels.NewBuilder(labels.FromStrings(more...))
				b.Set(labels.MetricName, name).Set("job", fmt.Sprintf("j%d", j)).Set("instance", fmt.Sprintf("i%d", i))
				return b.Labels()
			}
			put := func(l labels.Labels, next func(int) (float64, *histogram.FloatHistogram)) {
				if d.chance(0.9) && !seen[l.Hash()] {
					seen[l.Hash()] = true
					out = append(out, &stream{labels: l, next: next})
				}
			}
			put(ls("c_total"), d.floats(d.counter(d.chance(0.5), 0.03)))
			put(ls("c_total", "path", pick(d.rng, "/", "/a", "/b")), d.floats(d.counter(true, 0)))
			put(ls("g", "mode", pick(d.rng, "user", "idle", "")), d.floats(d.gauge()))
			put(ls("g2"), d.floats(d.gauge()))
			put(ls("h"), native(d.histograms(false, false)))
			put(ls("n"), native(d.histograms(true, false)))
			put(ls("m"), d.either(d.counter(true, 0.02), d.histograms(d.chance(0.3), false)))
			put(ls("a.b/c", "x.y", pick(d.rng, "1", "é")), d.floats(d.counter(d.chance(0.5), 0.1)))
			put(ls("k", typed(d)...), d.either(d.counter(false, 0.05), d.histograms(d.chance(0.5), false)))
			put(ls("k", typed(d)...), d.floats(d.counter(false, 0.05)))
			put(ls("build_info", "rev", fmt.Sprint("r", d.rng.Intn(2)), "version", "b"), d.floats(func(int) float64 { return 1 }))
			put(ls("target_info", "version", fmt.Sprint(d.rng.Intn(3)), "data", pick(d.rng, "x", "y")), d.floats(func(int) float64 { return 1 }))
			if d.chance(0.5) {
				put(ls("hg"), native(d.histograms(d.chance(0.3), true)))
				if n := len(out); out[n-1].labels.Get(labels.MetricName) == "hg" {
					out[n-1].hint = histogram.GaugeType
				}
			}
			if j == 0 {
				out = d.classic(ls("b"), out)
				put(ls("b"), native(d.histograms(d.chance(0.3), false)))
				put(ls("b_count"), d.floats(d.counter(true, 0.02)))
			}
		}
	}
	return out
}

// put writes one sample; a histogram of whole numbers goes in as one of integers or of floats.
func (d *data) put(app storage.AppenderV2, s *stream, t int64) error {
	st := int64(0)
	if d.xor2 && s.st != 0 {
		st = s.st
	}
	if d.chance(s.gaps) {
		if d.chance(0.3) {
			_, err := app.Append(0, s.labels, st, t, math.Float64frombits(value.StaleNaN), nil, nil, storage.AppendV2Options{})
			return err
		}
		return nil
	}
	v, fh := s.next(s.i)
	if fh == nil {
		_, err := app.Append(0, s.labels, st, t, v, nil, nil, storage.AppendV2Options{})
		return err
	}
	fh.CounterResetHint = s.hint
	if h := integers(fh); s.whole && h != nil {
		_, err := app.Append(0, s.labels, st, t, 0, h, nil, storage.AppendV2Options{})
		return err
	}
	_, err := app.Append(0, s.labels, st, t, 0, nil, fh, storage.AppendV2Options{})
	return err
}

// integers is h with integer counts, or nil.
func integers(f *histogram.FloatHistogram) *histogram.Histogram {
	deltas := func(all []float64) (out []int64) {
		last := int64(0)
		for _, v := range all {
			out = append(out, int64(v)-last)
			last = int64(v)
		}
		return out
	}
	h := &histogram.Histogram{
		CounterResetHint: f.CounterResetHint, Schema: f.Schema, ZeroThreshold: f.ZeroThreshold, ZeroCount: uint64(f.ZeroCount), Count: uint64(f.Count),
		Sum: f.Sum, PositiveSpans: f.PositiveSpans, NegativeSpans: f.NegativeSpans, PositiveBuckets: deltas(f.PositiveBuckets),
		NegativeBuckets: deltas(f.NegativeBuckets), CustomValues: f.CustomValues,
	}
	if h.Validate() != nil {
		return nil
	}
	return h
}

func (d *data) begin(s *stream) {
	s.step = pick(d.rng, int64(15_000), 15_000, 30_000, 60_000, leastStepMs)
	s.jitter = pick(d.rng, int64(1), 1, 500, 3000)
	s.gaps = pick(d.rng, 0, 0, 0.02, 0.3)
	s.whole = d.chance(0.5)
	s.t = d.rng.Int63n(s.step) * pick(d.rng, int64(0), 1)
}

// grow appends the samples of a series up to untilMs.
func (d *data) grow(app storage.AppenderV2, s *stream, untilMs int64) error {
	for ; s.t < untilMs; s.i, s.t = s.i+1, s.t+s.step {
		at := d.baseMs + s.t + d.rng.Int63n(s.jitter)
		if d.chance(0.02) || s.st == 0 {
			s.st = at - d.rng.Int63n(20_000)
		}
		if err := d.put(app, s, at); err != nil {
			return fmt.Errorf("%s: %w", s.labels, err)
		}
	}
	return nil
}

func (d *data) fill(untilMs int64) error {
	d.all = d.streams()
	d.rng.Shuffle(len(d.all), func(i, k int) { d.all[i], d.all[k] = d.all[k], d.all[i] })
	app := d.db.AppenderV2(context.Background()) // one for all: it does not mind how far behind each series begins
	for _, s := range d.all {
		d.begin(s)
		if err := d.grow(app, s, untilMs); err != nil {
			_ = app.Rollback()
			return err
		}
	}
	return app.Commit()
}
