// Command store speaks to a StoreAPI with Thanos' own messages. It reads one JSON object a line from stdin, {"addr": …, "method": "info" | "series" |
// "names" | "values" | "health", …}, asks, and answers with one a line: {"code": the gRPC code's name, "error": …, "series": [{"labels": [[name, value], …],
// "samples": [[ms, value], …]}, …], "values": […], "info": …}. A histogram's value is {"count", "sum", "buckets"}, as the HTTP API has it.
// {"idle_ms": n} asks over a connection with keepalive, says so on stderr, and waits so long for the connection to break: "state" says whether it did; if not it
// asks again. {"first": n} takes n frames and lets go; {"digest": true} gives of series their count, that of samples, and a sum over all of them, whatever the order. `store golden` prints messages for src/storeapi/test_golden.h.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/types"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/store/hintspb"
	"github.com/thanos-io/thanos/pkg/store/labelpb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
)

type question struct {
	Addr       string      `json:"addr"`
	CA         string      `json:"ca"`
	Cert       string      `json:"cert"`
	Key        string      `json:"key"`
	Method     string      `json:"method"`
	Mint       int64       `json:"mint"`
	Maxt       int64       `json:"maxt"`
	Matchers   [][3]string `json:"matchers"`
	Without    []string    `json:"without"`
	Label      string      `json:"label"`
	Limit      int64       `json:"limit"`
	SkipChunks bool        `json:"skip_chunks"`
	Hints      bool        `json:"hints"`
	OfBlocks   [][3]string `json:"of_blocks"`
	Shards     int64       `json:"shards"`
	Shard      int64       `json:"shard"`
	TimeoutMs  int64       `json:"timeout_ms"`
	First      int         `json:"first"`
	Digest     bool        `json:"digest"`
	IdleMs     int64       `json:"idle_ms"`
}

type series struct {
	Labels  [][2]string `json:"labels"`
	Samples [][]any     `json:"samples"`
}

type info struct {
	Component string        `json:"component"`
	Sets      [][][2]string `json:"sets"`
	Mint      int64         `json:"mint"`
	Maxt      int64         `json:"maxt"`
	Sharding  bool          `json:"sharding"`
	Without   bool          `json:"without"`
	TSDBs     int           `json:"tsdbs"`
}

type answer struct {
	Code   string   `json:"code"`
	Error  string   `json:"error"`
	Series []series `json:"series"`
	Values []string `json:"values"`
	Frames int      `json:"frames"`
	Hints  bool     `json:"hints"`
	Blocks []string `json:"blocks"`
	Info   *info    `json:"info"`
	Health string   `json:"health"`
	State  string   `json:"state"`

	Digest  uint64 `json:"digest"`
	Count   int    `json:"count"`
	Samples int    `json:"samples"`

	last uint64 // the series that is summed up
}

func dial(q question) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if q.CA != "" {
		c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
		pem, err := os.ReadFile(q.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs.AppendCertsFromPEM(pem)
		if q.Cert != "" {
			pair, err := tls.LoadX509KeyPair(q.Cert, q.Key)
			if err != nil {
				return nil, err
			}
			c.Certificates = []tls.Certificate{pair}
		}
		creds = credentials.NewTLS(c)
	}
	// Thanos' labels lie in the frame: its memory must not be used again.
	options := []grpc.DialOption{grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		experimental.WithBufferPool(mem.NopBufferPool{})}
	if q.IdleMs > 0 { // a client pings each ten seconds at most
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second, PermitWithoutStream: true}))
	}
	return grpc.NewClient(q.Addr, options...)
}

// idle waits for the connection to break.
func (a *answer) idle(ctx context.Context, conn *grpc.ClientConn, q question) error {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(q.IdleMs)*time.Millisecond)
	defer cancel()
	fmt.Fprintln(os.Stderr, "idle")
	conn.WaitForStateChange(waiting, connectivity.Ready)
	state := conn.GetState()
	a.State = state.String()
	if state != connectivity.Ready {
		return nil
	}
	return a.ask(ctx, conn, q)
}

func matchers(q question) []storepb.LabelMatcher { return matchersOf(q.Matchers) }

func matchersOf(all [][3]string) []storepb.LabelMatcher {
	kinds := map[string]storepb.LabelMatcher_Type{"=": storepb.LabelMatcher_EQ, "!=": storepb.LabelMatcher_NEQ, "=~": storepb.LabelMatcher_RE, "!~": storepb.LabelMatcher_NRE}
	var out []storepb.LabelMatcher
	for _, m := range all {
		out = append(out, storepb.LabelMatcher{Type: kinds[m[1]], Name: m[0], Value: m[2]})
	}
	return out
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func shown(h *histogram.FloatHistogram) any {
	buckets := [][]any{}
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		sides := 2
		switch {
		case b.LowerInclusive && b.UpperInclusive:
			sides = 3
		case b.LowerInclusive:
			sides = 1
		case b.UpperInclusive:
			sides = 0
		}
		buckets = append(buckets, []any{sides, number(b.Lower), number(b.Upper), number(b.Count)})
	}
	return map[string]any{"count": number(h.Count), "sum": number(h.Sum), "buckets": buckets}
}

func samples(c storepb.AggrChunk) ([][]any, error) {
	var out [][]any
	chunk, err := chunkenc.FromData(chunkenc.Encoding(c.Raw.Type+1), c.Raw.Data)
	if err != nil {
		return nil, err
	}
	it := chunk.Iterator(nil)
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind == chunkenc.ValFloat {
			if t, v := it.At(); !value.IsStaleNaN(v) {
				out = append(out, []any{t, number(v)})
			}
		} else if t, h := it.AtFloatHistogram(nil); !value.IsStaleNaN(h.Sum) {
			out = append(out, []any{t, shown(h)})
		}
	}
	return out, it.Err()
}

func pairs(labels []labelpb.ZLabel) [][2]string {
	out := [][2]string{}
	for _, l := range labels {
		out = append(out, [2]string{l.Name, l.Value})
	}
	return out
}

// Frames of equal labels are one series; those of a lesser one than before are an error.
func (a *answer) add(s *storepb.Series) error {
	n := len(a.Series)
	labels := pairs(s.Labels)
	if n == 0 || fmt.Sprint(a.Series[n-1].Labels) != fmt.Sprint(labels) {
		if n > 0 && slices.CompareFunc(a.Series[n-1].Labels, labels, func(x, y [2]string) int { return slices.Compare(x[:], y[:]) }) >= 0 {
			return fmt.Errorf("%v comes after %v", labels, a.Series[n-1].Labels)
		}
		a.Series = append(a.Series, series{Labels: labels, Samples: [][]any{}})
		n++
	}
	for _, c := range s.Chunks {
		got, err := samples(c)
		if err != nil {
			return err
		}
		a.Series[n-1].Samples = append(a.Series[n-1].Samples, got...)
	}
	return nil
}

// What is summed up of a series: each of its samples, and the series itself.
func (a *answer) sum(s *storepb.Series) error {
	h := fnv.New64a()
	for _, l := range s.Labels {
		_, _ = io.WriteString(h, l.Name+"\xff"+l.Value+"\xff")
	}
	key := h.Sum64()
	if key != a.last {
		a.last = key
		a.Count++
		a.Digest += key
	}
	for _, c := range s.Chunks {
		chunk, err := chunkenc.FromData(chunkenc.Encoding(c.Raw.Type+1), c.Raw.Data)
		if err != nil {
			return err
		}
		it := chunk.Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			t, v := it.At()
			x := (key ^ uint64(t)*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
			a.Digest += (x ^ x>>29 ^ math.Float64bits(v)) * 0xc4ceb9fe1a85ec53
			a.Samples++
		}
		if it.Err() != nil {
			return it.Err()
		}
	}
	return nil
}

// Which blocks were asked, if it says so.
func (a *answer) blocks(hints *types.Any, told proto.Message, of func() []hintspb.Block) error {
	if hints == nil {
		return nil
	}
	if err := types.UnmarshalAny(hints, told); err != nil {
		return err
	}
	a.Hints = true
	for _, b := range of() {
		a.Blocks = append(a.Blocks, b.Id)
	}
	return nil
}

func (a *answer) stream(ctx context.Context, conn *grpc.ClientConn, q question) error {
	r := &storepb.SeriesRequest{MinTime: q.Mint, MaxTime: q.Maxt, Matchers: matchers(q), WithoutReplicaLabels: q.Without, Limit: q.Limit, SkipChunks: q.SkipChunks,
		PartialResponseStrategy: storepb.PartialResponseStrategy_ABORT}
	if q.Hints {
		r.Hints = anyOf(&hintspb.SeriesRequestHints{EnableQueryStats: true, BlockMatchers: matchersOf(q.OfBlocks)})
	}
	if q.Shards > 0 {
		r.ShardInfo = &storepb.ShardInfo{ShardIndex: q.Shard, TotalShards: q.Shards}
	}
	s, err := storepb.NewStoreClient(conn).Series(ctx, r)
	for err == nil {
		var frame *storepb.SeriesResponse
		if frame, err = s.Recv(); err != nil {
			break
		}
		a.Frames++
		var told hintspb.SeriesResponseHints
		if err = a.blocks(frame.GetHints(), &told, func() []hintspb.Block { return told.QueriedBlocks }); err != nil {
			break
		}
		if one := frame.GetSeries(); one != nil && q.Digest {
			err = a.sum(one)
		} else if one != nil {
			err = a.add(one)
		}
		if a.Frames == q.First {
			return nil
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (a *answer) ask(ctx context.Context, conn *grpc.ClientConn, q question) error {
	store := storepb.NewStoreClient(conn)
	switch q.Method {
	case "series":
		return a.stream(ctx, conn, q)
	case "names":
		asked := &storepb.LabelNamesRequest{Start: q.Mint, End: q.Maxt, Matchers: matchers(q), WithoutReplicaLabels: q.Without, Limit: q.Limit}
		if q.Hints {
			asked.Hints = anyOf(&hintspb.LabelNamesRequestHints{BlockMatchers: matchersOf(q.OfBlocks)})
		}
		r, err := store.LabelNames(ctx, asked)
		if err != nil {
			return err
		}
		a.Values = r.Names
		var told hintspb.LabelNamesResponseHints
		return a.blocks(r.Hints, &told, func() []hintspb.Block { return told.QueriedBlocks })
	case "values":
		asked := &storepb.LabelValuesRequest{Label: q.Label, Start: q.Mint, End: q.Maxt, Matchers: matchers(q), Limit: q.Limit}
		if q.Hints {
			asked.Hints = anyOf(&hintspb.LabelValuesRequestHints{BlockMatchers: matchersOf(q.OfBlocks)})
		}
		r, err := store.LabelValues(ctx, asked)
		if err != nil {
			return err
		}
		a.Values = r.Values
		var told hintspb.LabelValuesResponseHints
		return a.blocks(r.Hints, &told, func() []hintspb.Block { return told.QueriedBlocks })
	case "health":
		r, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			a.Health = r.Status.String()
		}
		return err
	default:
		r, err := infopb.NewInfoClient(conn).Info(ctx, &infopb.InfoRequest{})
		if err == nil {
			a.Info = &info{r.ComponentType, nil, r.Store.MinTime, r.Store.MaxTime, r.Store.SupportsSharding, r.Store.SupportsWithoutReplicaLabels, len(r.Store.TsdbInfos)}
			for _, set := range r.LabelSets {
				a.Info.Sets = append(a.Info.Sets, pairs(set.Labels))
			}
		}
		return err
	}
}

func answered(q question) (a answer) {
	timeout := 20 * time.Second
	if q.TimeoutMs > 0 {
		timeout = time.Duration(q.TimeoutMs) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := dial(q)
	if err == nil {
		defer conn.Close()
		err = a.ask(ctx, conn, q)
	}
	if err == nil && q.IdleMs > 0 {
		err = a.idle(ctx, conn, q)
	}
	a.Code = status.Code(err).String()
	if err != nil {
		a.Error = status.Convert(err).Message()
	}
	return a
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "golden" {
		golden()
		return
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var q question
		if err := json.Unmarshal(in.Bytes(), &q); err != nil {
			panic(err)
		}
		if err := out.Encode(answered(q)); err != nil {
			panic(err)
		}
	}
}
