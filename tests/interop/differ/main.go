// Command differ asks the Prometheus module's engine and ours the same random questions about the same random data, and says where they differ.
//
//	differ [-seconds N] [-seed N] [-sets N] [-life]
//
// Each data set has a seed of its own, which is printed with what differs and brings it back (-seed N -sets 1). The last line is
// "N passed, N failed, N skipped". EPI_ENGINE is the shared library of our engine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"interop/engine"
)

const (
	maxSamples = 5_000_000
	queriesSet = 150
	maxShown   = 40
	tries      = 40
	// of series that the module has in an order of chance each may be the last, whose window then counts on top of all others' rows
	triesOfPeak = 150
)

var options = parser.Options{EnableExperimentalFunctions: true, ExperimentalDurationExpr: true, EnableExtendedRangeSelectors: true, EnableBinopFillModifiers: true}

// pair is the two engines on one data set.
type pair struct {
	theirs *promql.Engine
	d      *data
	ours   *engine.Folder
	copied string // the folder that ours has opened
	p      parser.Parser
}

type tally struct{ passed, failed, skipped, loose, kept int }

// answer is what one engine said.
type answer struct {
	value  parser.Value
	notes  []string
	counts engine.Counts
	err    error
}

// newPair opens both on d; o: where ours finds the folder, and what it keeps.
func newPair(rng *rand.Rand, d *data, o engine.Options) (p *pair, err error) {
	o.DelayedNameRemoval, o.StartTimestamps, o.TypeAndUnit = rng.Intn(2) == 0, rng.Intn(2) == 0, rng.Intn(4) == 0
	o.RangeMs, o.XOR2, o.TimeoutMs, o.MaxSamples = d.rangeMs, d.xor2, 20_000, maxSamples
	if rng.Intn(8) == 0 {
		o.MaxSamples = 10 + rng.Intn(pick(rng, 100, 1000, 10_000))
	}
	p = &pair{d: d, p: parser.NewParser(options), copied: o.Dir}
	p.theirs = promql.NewEngine(promql.EngineOpts{
		MaxSamples: o.MaxSamples, Timeout: time.Duration(o.TimeoutMs) * time.Millisecond, LookbackDelta: 5 * time.Minute, EnableAtModifier: true,
		EnableNegativeOffset: true, NoStepSubqueryIntervalFn: func(int64) int64 { return minuteMs }, EnableDelayedNameRemoval: o.DelayedNameRemoval,
		UseStartTimestamps: o.StartTimestamps, EnableTypeAndUnitLabels: o.TypeAndUnit, EnablePerStepStats: true, Parser: p.p,
	})
	p.ours, err = engine.Open(o)
	return p, err
}

func (p *pair) close() {
	if p.ours != nil {
		p.ours.Close()
	}
	_ = p.theirs.Close()
	if keep {
		fmt.Println("kept:", p.d.dir)
		return
	}
	p.d.close()
}

func (p *pair) askTheirs(q engine.Question) (a answer) {
	ctx := context.Background()
	var query promql.Query
	lookback := time.Duration(q.LookbackMs) * time.Millisecond
	if lookback < 0 {
		lookback = time.Microsecond
	}
	opts := promql.NewPrometheusQueryOpts(true, lookback)
	if q.StepMs == 0 {
		query, a.err = p.theirs.NewInstantQuery(ctx, p.d.db, opts, q.Query, time.UnixMilli(q.EndMs))
	} else {
		query, a.err = p.theirs.NewRangeQuery(ctx, p.d.db, opts, q.Query, time.UnixMilli(q.StartMs), time.UnixMilli(q.EndMs), time.Duration(q.StepMs)*time.Millisecond)
	}
	if a.err != nil {
		return a
	}
	r := query.Exec(ctx)
	a.err, a.value = r.Err, r.Value
	warnings, infos := r.Warnings.AsStrings(q.Query, 10, 10)
	a.notes = append(warnings, infos...)
	counted := query.Stats().Samples
	a.counts = engine.Counts{
		Total: counted.TotalSamples, Read: counted.SamplesRead, Peak: int64(counted.PeakSamples), TotalAt: counted.TotalSamplesPerStep, ReadAt: counted.SamplesReadPerStep,
	}
	return a
}

func (p *pair) askOurs(q engine.Question) answer {
	a := p.ours.Query(q)
	return answer{a.Value, append(a.Warnings, a.Infos...), a.Counts, a.Err}
}

// ordered says whether the order of the result is part of the answer.
func ordered(q engine.Question) bool {
	return q.StepMs > 0 || strings.HasPrefix(q.Query, "sort") || strings.HasPrefix(q.Query, "topk") || strings.HasPrefix(q.Query, "bottomk")
}

// tolerance of values: of what cancels out only the rounding is left.
func tolerance(expr string) float64 {
	for _, f := range []string{"stddev", "stdvar", "deriv", "predict_linear", "double_exp", "avg_over_time", "sum_over_time"} {
		if strings.Contains(expr, f) {
			return 1e-6
		}
	}
	return 1e-9
}

// once compares our answer with one of the module's.
func once(q engine.Question, a, b answer, t *tally) string {
	if a.err != nil || b.err != nil {
		// of two reasons to fail one may come first that is none of the samples' number: rows are counted as they flow
		if a.err != nil && b.err != nil && (tooMany(a.err) || tooMany(b.err)) {
			return ""
		}
		if a.err == nil || b.err == nil || normalError(q, a.err.Error()) != normalError(q, b.err.Error()) {
			return fmt.Sprintf("error %v; ours %v", a.err, b.err)
		}
		return ""
	}
	r := ruler{tolerance: tolerance(q.Query), bits: bits}
	if why := r.values(a.value, b.value, ordered(q)); why != "" {
		return why
	}
	t.loose += min(r.loose, 1)
	if why := counts(a.counts, b.counts); why != "" {
		return why
	}
	return texts(normalNotes(q.Query, a.notes), normalNotes(q.Query, b.notes))
}

// difference says what differs; "" if nothing does. skipped: it cannot be compared. The module goes over maps, so that it may answer otherwise
// when it is asked again: any of its answers is right, and if all differ from ours and from each other, nothing is known.
func (p *pair) difference(q engine.Question, t *tally) (why string, skipped bool) {
	if p.otherAnswer(q.Query) {
		return "", true
	}
	b := p.askOurs(q)
	said := map[string]bool{}
	for i := 0; i < tries || (i < triesOfPeak && strings.HasPrefix(why, peakOnly)); i++ {
		a := p.askTheirs(q)
		var late promql.ErrQueryTimeout
		if errors.As(a.err, &late) || (a.err != nil && strings.HasPrefix(a.err.Error(), "unexpected error: runtime error")) {
			return "", true
		}
		if why = once(q, a, b, t); why == "" {
			return "", false
		}
		said[why] = true
	}
	return why, len(said) > 1 || (!bits && chaotic(q.Query)) || (sameLabels(b.err) && p.twoAtOnce(q))
}

// shrink asks for parts of the expression as long as they differ, too.
func (p *pair) shrink(q engine.Question, why string) (engine.Question, string) {
	e, err := p.p.ParseExpr(q.Query)
	if err != nil {
		return q, why
	}
	for child := range parser.ChildrenIter(e) { // of the smallest part that differs
		part := q
		part.Query = child.String()
		if t := child.(parser.Expr).Type(); q.StepMs > 0 && t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
			continue
		}
		if less, skipped := p.difference(part, &tally{}); less != "" && !skipped {
			return p.shrink(part, less)
		}
	}
	return q, why
}

func (p *pair) question(rng *rand.Rand, w *writer) engine.Question {
	q := engine.Question{Query: w.expr()}
	round := pick(rng, int64(1), 1000, 15_000)
	q.StartMs = (p.d.baseMs + rng.Int63n(spanMs)) / round * round
	if rng.Intn(20) == 0 {
		q.StartMs += spanMs
	}
	q.EndMs = q.StartMs
	if rng.Intn(2) == 0 {
		q.StepMs = pick(rng, int64(15_000), 30_000, 60_000, 7_000, 300_000, 1, 33_333, 120_001)
		q.EndMs += q.StepMs*rng.Int63n(pick(rng, int64(40), 40, 40, 200)) + rng.Int63n(q.StepMs)*pick(rng, int64(0), 0, 1)
	}
	if rng.Intn(8) == 0 {
		q.LookbackMs = pick(rng, int64(15_000), 60_000, 10_000, 20*minuteMs, 1, -1)
	}
	return q
}

// parse compares what both make of a text that may be no expression.
func (p *pair) parse(text string) string {
	if otherTree(text) || !utf8.ValidString(text) {
		return ""
	}
	e, err := p.p.ParseExpr(text)
	ours, failed := p.ours.Parse(text)
	switch {
	case laterRule(failed), err != nil && failed != nil && err.Error() == failed.Error():
		return ""
	case err != nil || failed != nil:
		return fmt.Sprintf("error %v; ours %v", err, failed)
	case e.String() != ours:
		return fmt.Sprintf("prints %s; ours %s", e, ours)
	}
	twice, err := p.p.ParseExpr(ours)
	again, failed := p.ours.Parse(ours)
	if err != nil && failed != nil && err.Error() == failed.Error() {
		return "" // as info(x, {}), whose text has no selector
	}
	if err != nil || failed != nil || again != twice.String() {
		return fmt.Sprintf("printed %s; again %v; ours %s %v", ours, twice, again, failed)
	}
	return ""
}

func (t *tally) note(seed int64, q string, why string) {
	if t.failed++; t.failed <= maxShown {
		fmt.Printf("seed %d: %s\n  %s\n", seed, q, why)
	}
}

func set(seed int64, t *tally) error {
	rng := rand.New(rand.NewSource(seed))
	d, err := newData(rng, 0, spanMs)
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	p, err := newPair(rng, d, engine.Options{Dir: d.dir})
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	defer p.close()
	w := newWriter(rng, p.d.baseMs)
	if asked.Query != "" {
		show(p, t)
		return nil
	}
	for range queriesSet {
		q := p.question(rng, w)
		if trace {
			fmt.Fprintf(os.Stderr, "%d: %+v\n", seed, q)
		}
		why, skipped := p.difference(q, t)
		switch {
		case skipped:
			t.skipped++
		case why != "":
			q, why = p.shrink(q, why)
			t.note(seed, fmt.Sprintf("%s from %d to %d step %d lookback %d", q.Query, q.StartMs, q.EndMs, q.StepMs, q.LookbackMs), why)
		default:
			t.passed++
		}
		text := w.broken()
		if why := p.parse(text); why != "" {
			t.note(seed, fmt.Sprintf("%q", text), why)
		} else {
			t.passed++
		}
	}
	return nil
}

// show asks the one query of the command line.
func show(p *pair, t *tally) {
	if asked.StepMs == 0 {
		asked.StartMs = asked.EndMs
	}
	for i, a := range []answer{p.askTheirs(asked), p.askOurs(asked)} {
		fmt.Printf("%s: error %v, %q\n%v\n", []string{"theirs", "ours"}[i], a.err, a.notes, a.value)
		for _, s := range matrix(a.value) {
			for _, h := range s.Histograms {
				fmt.Printf("%s at %d: %s %+v\n", s.Metric, h.T, h.H.TestExpression(), *h.H)
			}
		}
	}
	if why, _ := p.difference(asked, t); why != "" {
		t.note(0, asked.Query, why)
	} else {
		t.passed++
	}
}

var (
	trace bool
	keep  bool
	bits  bool
	asked engine.Question
)

func main() {
	seconds := flag.Int("seconds", 15, "how long")
	seed := flag.Int64("seed", 1, "of the first data set")
	sets := flag.Int("sets", 1<<30, "at most as many data sets")
	lives := flag.Bool("life", false, "data that change between questions, and answers that are kept")
	flag.BoolVar(&trace, "trace", false, "say each query before it is asked")
	flag.BoolVar(&exact, "exact", false, "the module was built from the sources of the server: hide no known difference")
	flag.BoolVar(&bits, "bits", false, "values that differ in their last digits differ")
	flag.BoolVar(&keep, "keep", false, "leave the folders, as a crash leaves them")
	flag.StringVar(&asked.Query, "query", "", "ask this one of each data set, and show the answers")
	flag.Int64Var(&asked.StartMs, "start", 0, "its start in ms")
	flag.Int64Var(&asked.EndMs, "end", 0, "its end in ms")
	flag.Int64Var(&asked.LookbackMs, "lookback", 0, "its lookback in ms; 0: 5 minutes; below 0: less than one")
	flag.Int64Var(&asked.StepMs, "step", 0, "its step in ms; 0: instant, at its end")
	flag.Parse()
	var t tally
	end := time.Now().Add(time.Duration(*seconds) * time.Second)
	n := 0
	for ; n < *sets && time.Now().Before(end); n++ {
		one := set
		if *lives {
			one = lifeOf
		}
		if err := one(*seed+int64(n), &t); err != nil {
			fmt.Println(err)
			t.failed++
		}
	}
	fmt.Printf("%d data sets, seeds %d to %d; %d answers equal within the tolerance, not by their bits\n", n, *seed, *seed+int64(n)-1, t.loose)
	if *lives {
		fmt.Printf("%d answers were kept, or some of them\n", t.kept)
		if t.kept*20 < t.passed {
			fmt.Println("too few to say anything")
			t.failed++
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		os.Exit(1)
	}
}
