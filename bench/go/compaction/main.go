// Command compaction merges the blocks of a folder with the compactor of the Prometheus module and prints the new block's name.
//
//	compaction DIR BLOCK...
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/prometheus/prometheus/tsdb"
)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compaction:", err)
		os.Exit(1)
	}
}

func main() {
	debug.SetGCPercent(75) // as the server sets it
	dir, blocks := os.Args[1], []string{}
	for _, name := range os.Args[2:] {
		blocks = append(blocks, filepath.Join(dir, name))
	}
	c, err := tsdb.NewLeveledCompactor(context.Background(), nil, slog.New(slog.DiscardHandler), []int64{tsdb.DefaultBlockDuration}, nil, nil)
	die(err)
	ids, err := c.Compact(dir, blocks, nil)
	die(err)
	for _, id := range ids {
		fmt.Println(id)
	}
}
