package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"interop/engine"
)

const (
	rounds      = 16
	panelsLife  = 14
	lateLifeMs  = 24 * 60 * minuteMs
	startLifeMs = 20 * minuteMs // of samples before the first question
)

// life is a data set that changes between questions, in the module's storage and in ours: what our engine keeps of its answers has to stay true.
type life struct {
	*pair
	late, deletes bool
	nowMs         int64 // from the start of the data
	panels        []engine.Question
	last          string // what was done
	kept          int    // answers that were kept, or some of them
}

func newLife(rng *rand.Rand) (*life, error) {
	l := &life{late: rng.Intn(2) == 0, deletes: rng.Intn(2) == 0, nowMs: startLifeMs}
	late := int64(0)
	if l.late {
		late = lateLifeMs
	}
	d, err := newData(rng, late, l.nowMs)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "life")
	if err != nil {
		return nil, err
	}
	if err = os.CopyFS(dir, os.DirFS(d.dir)); err != nil {
		return nil, err
	}
	l.pair, err = newPair(rng, d, engine.Options{Dir: dir, LateMs: late, KeptBytes: pick(rng, int64(20_000), 200_000, 16<<20)})
	return l, err
}

func (l *life) close() {
	l.pair.close()
	_ = os.RemoveAll(l.copied)
}

// commit ends what was appended, and appends the same to ours.
func (l *life) commit(r *engine.Recorder) error {
	if err := r.Commit(); err != nil {
		return err
	}
	return l.ours.Append(r.Samples)
}

func (l *life) recorder() *engine.Recorder {
	return &engine.Recorder{AppenderV2: l.d.db.AppenderV2(context.Background())}
}

// goOn lets time pass. A batch has one sample of a series at most: of several of different kinds the module loses some.
func (l *life) goOn() error {
	d := l.d
	to := l.nowMs + pick(d.rng, int64(1_000), 15_000, 60_000, 60_000, 4*minuteMs)
	for _, s := range d.all {
		if d.chance(0.02) { // silent for a time
			for from := d.rng.Int63n(10 * minuteMs); s.t < l.nowMs+from; {
				s.t += s.step
			}
		}
	}
	for l.nowMs < to {
		l.nowMs = min(to, l.nowMs+leastStepMs)
		r := l.recorder()
		for _, s := range d.all {
			if err := d.grow(r, s, l.nowMs); err != nil {
				return errors.Join(err, r.Rollback())
			}
		}
		if err := l.commit(r); err != nil {
			return err
		}
	}
	return nil
}

// comeLate appends samples of times that no other has.
func (l *life) comeLate() error {
	d, r := l.d, l.recorder()
	for range 1 + d.rng.Intn(20) {
		s := d.all[d.rng.Intn(len(d.all))]
		at := d.baseMs + d.rng.Int63n(l.nowMs)
		if at%1000 == 0 {
			at++
		}
		was := *s
		s.gaps = 0
		_ = d.put(r, s, at) // what is refused is not recorded
		s.gaps = was.gaps
	}
	return l.commit(r)
}

func (l *life) beginSeries() error {
	d, r := l.d, l.recorder()
	like := d.all[d.rng.Intn(len(d.all))]
	b := labels.NewBuilder(like.labels)
	b.Set("instance", fmt.Sprintf("i%d", d.rng.Intn(9))).Set("path", fmt.Sprintf("/n%d", len(d.all)))
	s := &stream{labels: b.Labels(), next: d.floats(d.gauge())}
	d.begin(s)
	for s.t < l.nowMs-d.rng.Int63n(2*minuteMs) {
		s.t += s.step
	}
	if err := d.grow(r, s, l.nowMs); err != nil {
		return errors.Join(err, r.Rollback())
	}
	d.all = append(d.all, s)
	return l.commit(r)
}

func (l *life) delete() error {
	d := l.d
	name := pick(d.rng, "c_total", "g", "h", "m", "n", "b_bucket", "g2")
	value := fmt.Sprintf("i%d", d.rng.Intn(3))
	from := d.baseMs + d.rng.Int63n(l.nowMs)
	to := from + d.rng.Int63n(6*minuteMs)
	err := d.db.Delete(context.Background(), from, to, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, name), labels.MustNewMatcher(labels.MatchEqual, "instance", value))
	if err != nil {
		return err
	}
	return l.ours.Delete(fmt.Sprintf("%s{instance=%q}", name, value), from, to)
}

func (l *life) compact() error {
	if err := l.d.db.Compact(context.Background()); err != nil {
		return err
	}
	return l.ours.Compact()
}

func (l *life) clean() error {
	if err := l.d.db.CleanTombstones(); err != nil {
		return err
	}
	return l.ours.Clean()
}

// change does something to the data.
func (l *life) change() error {
	l.last = pick(l.d.rng, "samples", "samples", "samples", "nothing", "late", "late", "deletion", "clean-up", "compaction", "series")
	switch {
	case l.last == "samples":
		return l.goOn()
	case l.last == "series":
		return l.beginSeries()
	case l.last == "compaction":
		return l.compact()
	case l.last == "late" && l.late:
		return l.comeLate()
	case l.last == "deletion" && l.deletes:
		return l.delete()
	case l.last == "clean-up" && l.deletes:
		return l.clean()
	}
	l.last = "nothing"
	return nil
}

// panel is a query with its step, asked now and then; most are such whose answers can be kept.
func (l *life) panel(w *writer) engine.Question {
	rng := l.d.rng
	for tries := 0; ; tries++ {
		q := engine.Question{Query: w.expr(), StepMs: pick(rng, int64(15_000), 30_000, 60_000, 60_000, 7_000, 120_000)}
		tree, err := l.p.ParseExpr(q.Query)
		if err != nil || (tree.Type() != parser.ValueTypeVector && tree.Type() != parser.ValueTypeScalar) {
			continue
		}
		if rng.Intn(8) == 0 {
			q.LookbackMs = pick(rng, int64(15_000), 60_000, 20*minuteMs)
		}
		q.StartMs = rng.Int63n(q.StepMs) * pick(rng, int64(0), 0, 1) // where its steps lie
		first := l.over(q)
		a := l.askOurs(first)
		plain := a.err == nil && len(a.notes) == 0 && len(matrix(a.value)) > 0
		for _, s := range matrix(a.value) {
			plain = plain && len(s.Histograms) == 0
		}
		if plain || tries > 8 {
			return q
		}
	}
}

// over is the panel's question over some time up to about now.
func (l *life) over(q engine.Question) engine.Question {
	rng := l.d.rng
	end := l.d.baseMs + l.nowMs - pick(rng, int64(0), 0, 0, 1, 5, 20)*q.StepMs + pick(rng, int64(0), 0, 2)*minuteMs
	end = end/q.StepMs*q.StepMs + q.StartMs
	q.StartMs = end - pick(rng, int64(10), 20, 20, 20, 40, 2, 1)*q.StepMs
	q.EndMs = end + pick(rng, int64(0), 0, 0, rng.Int63n(q.StepMs))
	return q
}

// strictly says what differs of two answers that are to be the same.
func strictly(a, b answer) string {
	if a.err != nil || b.err != nil {
		if a.err == nil || b.err == nil || a.err.Error() != b.err.Error() {
			return fmt.Sprintf("error %v; kept %v", a.err, b.err)
		}
		return ""
	}
	r := ruler{}
	if why := r.values(a.value, b.value, true); why != "" {
		return why
	}
	if r.loose > 0 {
		return "zeros or hints differ"
	}
	return texts(a.notes, b.notes)
}

func (l *life) askKept(q engine.Question) answer {
	q.Kept = true
	a := l.ours.Query(q)
	if a.Kept {
		l.kept++
	}
	return answer{a.Value, append(a.Warnings, a.Infos...), a.Counts, a.Err}
}

// look asks every panel with kept answers and without, and some of the module.
func (l *life) look(seed int64, t *tally) {
	for _, panel := range l.panels {
		q := l.over(panel)
		if trace {
			fmt.Fprintf(os.Stderr, "%d: %+v after %s\n", seed, q, l.last)
		}
		kept := l.askKept(q)
		if l.d.chance(0.2) {
			kept = l.askKept(q)
		}
		if why := strictly(l.askOurs(q), kept); why != "" {
			t.note(seed, l.text(q), "kept: "+why)
		} else {
			t.passed++
		}
		// what came late and was deleted the module shows again
		if (l.late && l.deletes) || !l.d.chance(0.3) {
			continue
		}
		// how much is held at a time depends on the order of series, which is another where they lie in blocks
		switch why, skipped := l.difference(q, t); {
		case skipped, strings.HasPrefix(why, peakOnly):
			t.skipped++
		case why != "":
			t.note(seed, l.text(q), why)
		default:
			t.passed++
		}
	}
}

func (l *life) text(q engine.Question) string {
	return fmt.Sprintf("%s from %d to %d step %d lookback %d, after %s", q.Query, q.StartMs, q.EndMs, q.StepMs, q.LookbackMs, l.last)
}

func lifeOf(seed int64, t *tally) error {
	rng := rand.New(rand.NewSource(seed))
	l, err := newLife(rng)
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	defer l.close()
	w := newWriter(rng, l.d.baseMs)
	for range panelsLife {
		l.panels = append(l.panels, l.panel(w))
	}
	for range rounds {
		l.look(seed, t)
		if err := l.change(); err != nil {
			return fmt.Errorf("seed %d: %s: %w", seed, l.last, err)
		}
	}
	t.kept += l.kept
	return nil
}
