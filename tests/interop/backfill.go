package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/tsdb"
)

// backfill makes blocks of an OpenMetrics page, one for each span of Range milliseconds, in Out.
type backfill struct {
	Page  string `json:"page"`
	Out   string `json:"out"`
	Range int64  `json:"range"`
}

// each calls fn with every series of the page.
func each(page []byte, fn func(l labels.Labels, t int64, v float64) error) error {
	p := textparse.NewOpenMetricsParser(page, labels.NewSymbolTable())
	for {
		kind, err := p.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if kind != textparse.EntrySeries {
			continue
		}
		_, t, v := p.Series()
		var l labels.Labels
		p.Labels(&l)
		if err := fn(l, *t, v); err != nil {
			return err
		}
	}
}

// span writes the block of [from, to). Its head spans twice that, so that series may come one after the other.
func (b backfill) span(page []byte, from, to int64) (string, error) {
	w, err := tsdb.NewBlockWriter(slog.New(slog.NewTextHandler(io.Discard, nil)), b.Out, 2*b.Range)
	if err != nil {
		return "", err
	}
	defer w.Close()
	app := w.Appender(context.Background())
	n := 0
	err = each(page, func(l labels.Labels, t int64, v float64) error {
		if t < from || t >= to {
			return nil
		}
		n++
		_, err := app.Append(0, l, t, v)
		return err
	})
	if err != nil || n == 0 {
		return "", err
	}
	if err := app.Commit(); err != nil {
		return "", err
	}
	id, err := w.Flush(context.Background())
	return id.String(), err
}

func (b backfill) run() ([]string, error) {
	page, err := os.ReadFile(b.Page)
	if err != nil {
		return nil, err
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	err = each(page, func(_ labels.Labels, t int64, _ float64) error {
		first, last = min(first, t), max(last, t)
		return nil
	})
	made := []string{}
	for from := first / b.Range * b.Range; err == nil && from <= last; from += b.Range {
		var id string
		if id, err = b.span(page, from, from+b.Range); id != "" {
			made = append(made, id)
		}
	}
	return made, err
}
