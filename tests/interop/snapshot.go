package main

import (
	"io"
	"log/slog"

	"github.com/prometheus/prometheus/tsdb"
)

// snapshot asks for the blocks of a folder and its head as a block of its own, below Out.
type snapshot struct {
	Dir     string  `json:"dir"`
	Options options `json:"options"`
	Out     string  `json:"out"`
}

func (s snapshot) run() ([]string, error) {
	db, err := tsdb.Open(s.Dir, slog.New(slog.NewTextHandler(io.Discard, nil)), nil, s.Options.tsdb(), nil)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.DisableCompactions()
	return []string{}, db.Snapshot(s.Out, true)
}
