// Command select finds series of a block, and of a head with the same series, by matchers, with the Prometheus module; it prints a line for each:
// name, microseconds of CPU a select, series found.
//
//	select BLOCK ROUNDS
package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "select:", err)
		os.Exit(1)
	}
}

func cpuUs() float64 {
	var u syscall.Rusage
	die(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Sec+u.Stime.Sec)*1e6 + float64(u.Utime.Usec+u.Stime.Usec)
}

func find(q storage.Querier, ms []*labels.Matcher, each func(labels.Labels)) int {
	n := 0
	set := q.Select(context.Background(), false, nil, ms...)
	for set.Next() {
		each(set.At().Labels())
		n++
	}
	die(set.Err())
	return n
}

func measure(name string, open func() (storage.Querier, error), ms []*labels.Matcher, rounds int) {
	n, bytes := 0, 0
	began := cpuUs()
	for i := 0; i < rounds; i++ {
		q, err := open()
		die(err)
		n = find(q, ms, func(l labels.Labels) { bytes += len(l.Get("instance")) })
		die(q.Close())
	}
	fmt.Printf("%s\t%.1f\t%d\n", name, (cpuUs()-began)/float64(rounds), n)
}

func main() {
	debug.SetGCPercent(75) // as the server sets it
	rounds, err := strconv.Atoi(os.Args[2])
	die(err)
	b, err := tsdb.OpenBlock(nil, os.Args[1], nil, nil)
	die(err)
	dir, err := os.MkdirTemp("", "bench-select")
	die(err)
	defer os.RemoveAll(dir)
	o := tsdb.DefaultHeadOptions()
	o.ChunkDirRoot = dir
	h, err := tsdb.NewHead(nil, slog.New(slog.DiscardHandler), nil, nil, o, nil)
	die(err)
	die(h.Init(math.MinInt64))
	t := b.Meta().MinTime
	all := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "job", "x")}
	ms := append(all, labels.MustNewMatcher(labels.MatchRegexp, "instance", "a.*"))
	block := func() (storage.Querier, error) { return tsdb.NewBlockQuerier(b, t, t+7200000) }
	head := func() (storage.Querier, error) {
		return tsdb.NewBlockQuerier(tsdb.NewRangeHead(h, t, t+7200000), t, t+7200000)
	}
	app := h.Appender(context.Background())
	q, err := block()
	die(err)
	find(q, all, func(l labels.Labels) {
		_, err := app.Append(0, l.Copy(), t, 1)
		die(err)
	})
	die(q.Close())
	die(app.Commit())
	measure("warm", head, ms, rounds)
	measure("head", head, ms, rounds)
	measure("block", block, ms, rounds)
}
