package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
)

// deletion takes series of one block, by a regular expression on a label, out of [Mint, Maxt].
type deletion struct {
	Block string `json:"block"`
	Mint  int64  `json:"mint"`
	Maxt  int64  `json:"maxt"`
	Label string `json:"label"`
	Match string `json:"match"`
}

// compaction asks for one block of several, after what is deleted was deleted.
type compaction struct {
	Blocks []string   `json:"blocks"`
	Delete []deletion `json:"delete"`
	Out    string     `json:"out"`
}

func (d deletion) run() error {
	m, err := labels.NewMatcher(labels.MatchRegexp, d.Label, d.Match)
	if err != nil {
		return err
	}
	b, err := tsdb.OpenBlock(nil, d.Block, nil, nil)
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Delete(context.Background(), d.Mint, d.Maxt, m)
}

// run gives the names of the blocks that were written: one, or none if nothing was left. Without a folder to write to it only deletes.
func (c compaction) run() ([]string, error) {
	for _, d := range c.Delete {
		if err := d.run(); err != nil {
			return nil, err
		}
	}
	if c.Out == "" {
		return nil, nil
	}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	l, err := tsdb.NewLeveledCompactor(context.Background(), nil, quiet, []int64{tsdb.DefaultBlockDuration}, nil, nil)
	if err != nil {
		return nil, err
	}
	ids, err := l.Compact(c.Out, c.Blocks, nil)
	names := []string{}
	for _, id := range ids {
		names = append(names, id.String())
	}
	return names, err
}
