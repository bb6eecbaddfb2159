// Command query makes the data of bench/query and answers its queries with the engine and the HTTP API of the Prometheus module.
//
//	query make DIR SERIES HOURS        blocks as compaction leaves them: all but the last 6 hours in one, then 2 hours each
//	query lines SERIES HOURS           the same samples to stdout as lines of victoria-metrics' import API
//	query serve DIR                    its URL goes to stdout
package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	v1 "github.com/prometheus/prometheus/web/api/v1"
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

// api is the query API of the module over an engine, as its server makes both.
func api(dir string, db *tsdb.DB) (http.Handler, error) {
	log := slog.New(slog.DiscardHandler)
	r := prometheus.NewRegistry()
	active, err := promql.NewActiveQueryTracker(dir, 20, log)
	if err != nil {
		return nil, err
	}
	e := promql.NewEngine(promql.EngineOpts{
		Logger: log, Reg: r, MaxSamples: 1 << 40, Timeout: time.Hour, LookbackDelta: 5 * time.Minute, ActiveQueryTracker: active,
		EnableAtModifier: true, EnableNegativeOffset: true, NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})
	ready := func(f http.HandlerFunc) http.HandlerFunc { return f }
	a := v1.NewAPI(e, db, nil, nil, db, nil, nil, nil, func() config.Config { return config.DefaultConfig }, nil, v1.GlobalURLOptions{}, ready,
		nil, dir, false, false, 0, log, nil, 0, 0, 0, false, nil, nil, nil, nil, nil, r, r, nil, false, nil, false, false, false, false,
		5*time.Minute, false, false, nil, nil, v1.OpenAPIOptions{}, nil)
	routes := route.New()
	a.Register(routes.WithPrefix("/api/v1"))
	return routes, nil
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
	h, err := api(dir, db)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, h)
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
