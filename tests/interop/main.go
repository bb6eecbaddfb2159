// Command reopen lets the Prometheus module open data folders that we left. It reads one JSON object a line from stdin, {"dir": …,
// "options": {…}} with the options of a case.json, opens the folder read-write (which changes it), and answers with one a line:
// {"dir": …, "error": …, "log": [warnings and errors], "series": [{"labels": [[name, value], …], "samples": [[ms, bits], …]}, …]}.
// A histogram has its canonical JSON instead of bits; a start time that is not 0 comes third.
// {"compact": {"blocks": [folders], "delete": [...], "out": folder}} has the Prometheus compactor merge blocks: {"made": [names], "error": …}.
// {"backfill": {"page": file, "out": folder, "range": ms}} has it make blocks of an OpenMetrics page, one for each span of range.
// {"fill": {"dir": folder, "options": {…}, "rows": [[series of a commit]], "delete": [...], "compact": bool}} has the module take samples, delete and
// compact; the folder stays open until the program is killed.
// {"snapshot": {"dir": folder, "options": {…}, "out": folder}} has the module write a snapshot, the head included.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"
)

type options struct {
	OutOfOrderMs int64  `json:"ooo_window_ms"`
	XOR2         bool   `json:"xor2"`
	HistogramST  bool   `json:"histograms_st"`
	StoreST      bool   `json:"st_storage"`
	Exemplars    int64  `json:"max_exemplars"`
	Metadata     bool   `json:"metadata_wal"`
	SegmentBytes int    `json:"wal_segment_size"`
	Compression  string `json:"wal_compression"`
	Memory       bool   `json:"memory_snapshot"`
	MinBlockMs   int64  `json:"min_block_ms"`
}

type question struct {
	Dir      string      `json:"dir"`
	Options  options     `json:"options"`
	Compact  *compaction `json:"compact"`
	Snapshot *snapshot   `json:"snapshot"`
	Backfill *backfill   `json:"backfill"`
	Fill     *filling    `json:"fill"`
}

type series struct {
	Labels  [][2]string `json:"labels"`
	Samples [][]any     `json:"samples"`
}

type answer struct {
	Dir    string   `json:"dir"`
	Error  string   `json:"error"`
	Log    []string `json:"log"`
	Series []series `json:"series"`
}

func (o options) tsdb() *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.RetentionDuration = 0
	t.NoLockfile = true
	t.StripeSize = 1024
	t.OutOfOrderTimeWindow = o.OutOfOrderMs
	t.WALSegmentSize = o.SegmentBytes
	t.EnableHistogramSTEncoding = o.HistogramST
	t.EnableSTStorage = o.StoreST
	t.EnableMetadataWALRecords = o.Metadata
	t.EnableExemplarStorage = o.Exemplars > 0
	t.MaxExemplars = o.Exemplars
	t.EnableMemorySnapshotOnShutdown = o.Memory
	if o.MinBlockMs > 0 {
		t.MinBlockDuration = o.MinBlockMs
	}
	if o.XOR2 {
		t.XOR2EncodingAllowed = true
		t.FloatChunkEncoding = chunkenc.EncXOR2
	}
	if o.Compression != "" {
		t.WALCompression = compression.Type(o.Compression)
	}
	return t
}

func value(it chunkenc.Iterator, kind chunkenc.ValueType) (int64, string) {
	switch kind {
	case chunkenc.ValHistogram:
		t, h := it.AtHistogram(nil)
		return t, whole(h)
	case chunkenc.ValFloatHistogram:
		t, h := it.AtFloatHistogram(nil)
		return t, floats(h)
	}
	t, v := it.At()
	return t, fmt.Sprintf("%016x", math.Float64bits(v))
}

func sample(it chunkenc.Iterator, kind chunkenc.ValueType) []any {
	t, v := value(it, kind)
	if st := it.AtST(); st != 0 {
		return []any{t, v, st}
	}
	return []any{t, v}
}

func read(db *tsdb.DB) ([]series, error) {
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	all := []series{}
	set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "", ""))
	for set.Next() {
		s := series{}
		set.At().Labels().Range(func(l labels.Label) { s.Labels = append(s.Labels, [2]string{l.Name, l.Value}) })
		it := set.At().Iterator(nil)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			s.Samples = append(s.Samples, sample(it, kind))
		}
		if it.Err() != nil {
			return nil, it.Err()
		}
		if len(s.Samples) > 0 {
			all = append(all, s)
		}
	}
	return all, set.Err()
}

func reopen(q question) (a answer) {
	var log bytes.Buffer
	a = answer{Dir: q.Dir, Log: []string{}, Series: []series{}}
	defer func() {
		if text := strings.TrimSpace(log.String()); text != "" {
			a.Log = strings.Split(text, "\n")
		}
	}()
	db, err := tsdb.Open(q.Dir, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), nil, q.Options.tsdb(), nil)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	db.DisableCompactions()
	if a.Series, err = read(db); err != nil {
		a.Error = err.Error()
	}
	if err := db.Close(); err != nil {
		a.Error += " close: " + err.Error()
	}
	return a
}

func (q question) answer() any {
	var made []string
	var err error
	switch {
	case q.Compact != nil:
		made, err = q.Compact.run()
	case q.Fill != nil:
		made, err = q.Fill.run()
	case q.Snapshot != nil:
		made, err = q.Snapshot.run()
	case q.Backfill != nil:
		made, err = q.Backfill.run()
	default:
		return reopen(q)
	}
	if err != nil {
		return map[string]any{"made": made, "error": err.Error()}
	}
	return map[string]any{"made": made, "error": ""}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<28)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, "reopen:", err)
			os.Exit(2)
		}
		if err := out.Encode(q.answer()); err != nil {
			os.Exit(1)
		}
	}
}
