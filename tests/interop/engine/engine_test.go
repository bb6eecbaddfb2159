package engine

import (
	"testing"

	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
)

const dayMs = 24 * 3600 * 1000 // the storage of scripts has such blocks

// newStorage is the module's own, as its tests have it.
func newStorage(t testing.TB) storage.Storage {
	s := teststorage.New(t, func(opt *tsdb.Options) {
		opt.EnableSTStorage = true
		opt.XOR2EncodingAllowed = true
		opt.FloatChunkEncoding = chunkenc.EncXOR2
		opt.EnableHistogramSTEncoding = true
		opt.StripeSize = 512
		opt.WALSegmentSize = 1 << 20
		opt.EnableExemplarStorage = false
	})
	return &Storage{Storage: s, Options: Options{
		Dir: s.Dir(), RangeMs: dayMs, MaxSamples: promqltest.DefaultMaxSamplesPerQuery, TimeoutMs: 100_000, DelayedNameRemoval: true, StartTimestamps: true, XOR2: true,
		KeptBytes: 1 << 20,
	}}
}

// TestBuiltin runs the module's scripts against our engine, on folders that the module writes.
func TestBuiltin(t *testing.T) {
	promqltest.RunBuiltinTestsWithStorage(t, Engine{}, newStorage)
}

// TestBuiltinKept runs them with answers that are kept.
func TestBuiltinKept(t *testing.T) {
	promqltest.RunBuiltinTestsWithStorage(t, Engine{Kept: true}, newStorage)
}
