package engine

import (
	"errors"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

type writtenHistogram struct {
	Whole     bool       `json:"whole"`
	Hint      uint8      `json:"crh"`
	Schema    int32      `json:"schema"`
	Threshold int64      `json:"zt"`
	Zero      int64      `json:"zc"`
	Count     int64      `json:"count"`
	Sum       int64      `json:"sum"`
	PS        [][2]int64 `json:"ps"`
	NS        [][2]int64 `json:"ns"`
	PB        []int64    `json:"pb"`
	NB        []int64    `json:"nb"`
	Custom    []int64    `json:"cv"`
}

// Sample is one that is to be appended, in the words of library/write.h.
type Sample struct {
	Labels [][2]string       `json:"labels"`
	T      int64             `json:"t"`
	ST     int64             `json:"st"`
	V      int64             `json:"v"`
	H      *writtenHistogram `json:"h,omitempty"`
}

func asBits(v float64) int64 { return int64(math.Float64bits(v)) }

func allBits(all []float64) []int64 {
	out := []int64{}
	for _, v := range all {
		out = append(out, asBits(v))
	}
	return out
}

func pairs(all []histogram.Span) [][2]int64 {
	out := [][2]int64{}
	for _, s := range all {
		out = append(out, [2]int64{int64(s.Offset), int64(s.Length)})
	}
	return out
}

func written(f *histogram.FloatHistogram, whole bool) *writtenHistogram {
	return &writtenHistogram{
		whole, uint8(f.CounterResetHint), f.Schema, asBits(f.ZeroThreshold), asBits(f.ZeroCount), asBits(f.Count), asBits(f.Sum),
		pairs(f.PositiveSpans), pairs(f.NegativeSpans), allBits(f.PositiveBuckets), allBits(f.NegativeBuckets), allBits(f.CustomValues),
	}
}

// Recorder is an appender of the module that remembers what was taken.
type Recorder struct {
	storage.AppenderV2
	Samples []Sample
}

// Append appends one sample.
func (r *Recorder) Append(
	ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AppendV2Options,
) (storage.SeriesRef, error) {
	s := Sample{T: t, ST: st, V: asBits(v)}
	if h != nil {
		s.H = written(h.ToFloat(nil), true)
	} else if fh != nil {
		s.H = written(fh, false)
	}
	ls.Range(func(l labels.Label) { s.Labels = append(s.Labels, [2]string{l.Name, l.Value}) })
	ref, err := r.AppenderV2.Append(ref, ls, st, t, v, h, fh, o)
	if err == nil {
		r.Samples = append(r.Samples, s)
	}
	return ref, err
}

func (f *Folder) do(what map[string]any) error {
	var said answerJSON
	if err := f.ask(what, &said); err != nil {
		return err
	}
	if said.Error != nil {
		return errors.New(*said.Error)
	}
	return nil
}

// Append appends and commits as one batch.
func (f *Folder) Append(all []Sample) error { return f.do(map[string]any{"append": all}) }

// Delete deletes [startMs, endMs] of the series that a selector selects.
func (f *Folder) Delete(selector string, startMs, endMs int64) error {
	return f.do(map[string]any{"delete": selector, "start": startMs, "end": endMs})
}

// Clean writes anew what has deletions.
func (f *Folder) Clean() error { return f.do(map[string]any{"clean": true}) }

// Compact does what is due.
func (f *Folder) Compact() error { return f.do(map[string]any{"compact": true}) }
