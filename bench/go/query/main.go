// Command query makes the data of bench/query and answers its queries with the engine of the Prometheus module.
//
//	query make DIR SERIES HOURS        blocks as compaction leaves them: all but the last 6 hours in one, then 2 hours each
//	query lines SERIES HOURS           the same samples to stdout as lines of victoria-metrics' import API
//	query serve DIR                    one query a line from stdin, START END STEP QUERY (ms; STEP 0: instant); answers each with a
//	                                   line: how many series and points, or what failed
package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

const hourMs = int64(3_600_000)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "query:", err)
		os.Exit(1)
	}
}

// block writes the samples of [from, to) of all series.
func block(dir string, all []*series, at []int64, to int64) error {
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, 48*hourMs) // half of it is how far behind the newest a series may begin
	if err != nil {
		return err
	}
	defer w.Close()
	for i, s := range all {
		app := w.Appender(context.Background())
		var ref storage.SeriesRef
		for ; at[i] < (to-startMs)/intervalMs; at[i]++ {
			t, v := s.next(at[i])
			if ref, err = app.Append(ref, s.labels, t, v); err != nil {
				return err
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
	}
	_, err = w.Flush(context.Background())
	return err
}

func makeBlocks(dir string, n int, hours int64) error {
	all, at := make([]*series, n), make([]int64, n)
	for i := range all {
		all[i] = seriesAt(i)
	}
	for h := hours - 6; h <= hours; h += 2 {
		if h == 0 {
			continue
		}
		if err := block(dir, all, at, startMs+h*hourMs); err != nil {
			return err
		}
	}
	return nil
}

func lines(n int, hours int64) {
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	var t, v []byte
	for i := 0; i < n; i++ {
		s := seriesAt(i)
		t, v = t[:0], v[:0]
		for k := int64(0); k < hours*hourMs/intervalMs; k++ {
			ms, value := s.next(k)
			if k > 0 {
				t, v = append(t, ','), append(v, ',')
			}
			t = strconv.AppendInt(t, ms, 10)
			v = strconv.AppendFloat(v, value, 'g', -1, 64)
		}
		l, err := s.labels.MarshalJSON()
		die(err)
		fmt.Fprintf(out, "{\"metric\":%s,\"values\":[%s],\"timestamps\":[%s]}\n", l, v, t)
	}
}

func answer(e *promql.Engine, db storage.Queryable, line string) (string, error) {
	var start, end, step int64
	f := strings.SplitN(line, " ", 4)
	for i, p := range []*int64{&start, &end, &step} {
		var err error
		if *p, err = strconv.ParseInt(f[i], 10, 64); err != nil {
			return "", err
		}
	}
	ctx := context.Background()
	q, err := e.NewInstantQuery(ctx, db, nil, f[3], time.UnixMilli(start))
	if step > 0 {
		q, err = e.NewRangeQuery(ctx, db, nil, f[3], time.UnixMilli(start), time.UnixMilli(end), time.Duration(step)*time.Millisecond)
	}
	if err != nil {
		return "", err
	}
	defer q.Close()
	r := q.Exec(ctx)
	if r.Err != nil {
		return "", r.Err
	}
	switch v := r.Value.(type) {
	case promql.Matrix:
		return fmt.Sprintf("%d %d", len(v), v.TotalSamples()), nil
	case promql.Vector:
		return fmt.Sprintf("%d %d", len(v), len(v)), nil
	}
	return "1 1", nil
}

func serve(dir string) error {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = math.MaxInt64
	o.MaxBlockDuration = o.MinBlockDuration
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, o, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	db.DisableCompactions()
	debug.SetGCPercent(75) // as the server sets it
	e := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1 << 40, Timeout: time.Hour, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		said, err := answer(e, db, in.Text())
		if err != nil {
			said = "failed: " + err.Error()
		}
		fmt.Println(said)
	}
	return in.Err()
}

func main() {
	number := func(i int) int64 {
		n, err := strconv.ParseInt(os.Args[i], 10, 64)
		die(err)
		return n
	}
	switch {
	case len(os.Args) == 5 && os.Args[1] == "make":
		die(makeBlocks(os.Args[2], int(number(3)), number(4)))
	case len(os.Args) == 4 && os.Args[1] == "lines":
		lines(int(number(2)), number(3))
	case len(os.Args) == 3 && os.Args[1] == "serve":
		die(serve(os.Args[2]))
	default:
		fmt.Fprintln(os.Stderr, "query make DIR SERIES HOURS | lines SERIES HOURS | serve DIR")
		os.Exit(2)
	}
}
