package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/gogo/protobuf/proto"
	"github.com/gogo/protobuf/types"

	"github.com/thanos-io/thanos/pkg/info/infopb"
	"github.com/thanos-io/thanos/pkg/store/hintspb"
	"github.com/thanos-io/thanos/pkg/store/labelpb"
	"github.com/thanos-io/thanos/pkg/store/storepb"
)

type vector struct {
	name string
	m    proto.Message
}

func anyOf(m proto.Message) *types.Any {
	a, err := types.MarshalAny(m)
	if err != nil {
		panic(err)
	}
	return a
}

func matcher(t storepb.LabelMatcher_Type, name, value string) storepb.LabelMatcher {
	return storepb.LabelMatcher{Type: t, Name: name, Value: value}
}

func label(name, value string) labelpb.ZLabel { return labelpb.ZLabel{Name: name, Value: value} }

func chunk(mint, maxt int64, t storepb.Chunk_Encoding, data string) storepb.AggrChunk {
	raw := &storepb.Chunk{Type: t, Data: []byte(data), Hash: xxhash.Sum64String(data)}
	return storepb.AggrChunk{MinTime: mint, MaxTime: maxt, Raw: raw}
}

// aggregated is a downsampled chunk with two of its aggregates.
func aggregated() storepb.AggrChunk {
	of := func(t storepb.Chunk_Encoding, data string) *storepb.Chunk {
		return &storepb.Chunk{Type: t, Data: []byte(data), Hash: xxhash.Sum64String(data)}
	}
	return storepb.AggrChunk{MinTime: 1000, MaxTime: 2000, Sum: of(storepb.Chunk_FLOAT_HISTOGRAM, "\x00\x00\x00"), Counter: of(storepb.Chunk_XOR, "\x00\x00")}
}

func vectors() []vector {
	all := []storepb.LabelMatcher{
		matcher(storepb.LabelMatcher_EQ, "a", "b"), matcher(storepb.LabelMatcher_NEQ, "c", ""),
		matcher(storepb.LabelMatcher_RE, "d", "x.*"), matcher(storepb.LabelMatcher_NRE, "e", "y|z"),
	}
	series := storepb.Series{
		Labels: []labelpb.ZLabel{label("__name__", "up"), label("cluster", "eu")},
		Chunks: []storepb.AggrChunk{chunk(-5, 1000, storepb.Chunk_XOR, "xor"), chunk(1001, 2000, storepb.Chunk_FLOAT_HISTOGRAM, "histogram")},
	}
	blocks := []hintspb.Block{{Id: "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, {Id: "01ARZ3NDEKTSV4RRFFQ69G5FAW"}}
	return []vector{
		{"series_request", &storepb.SeriesRequest{
			MinTime: -1000, MaxTime: 1 << 40, Matchers: all, MaxResolutionWindow: 300000, Aggregates: []storepb.Aggr{storepb.Aggr_RAW, storepb.Aggr_COUNTER},
			PartialResponseStrategy: storepb.PartialResponseStrategy_ABORT, SkipChunks: true,
			Hints: anyOf(&hintspb.SeriesRequestHints{BlockMatchers: []storepb.LabelMatcher{matcher(storepb.LabelMatcher_RE, "__block_id", "01.*")}, EnableQueryStats: true}),
			Step:  15000, Range: 60000,
			QueryHints:           &storepb.QueryHints{StepMillis: 15000, Func: &storepb.Func{Name: "rate"}, Grouping: &storepb.Grouping{By: true, Labels: []string{"job"}}},
			ShardInfo:            &storepb.ShardInfo{ShardIndex: 1, TotalShards: 3, By: true, Labels: []string{"job", "pod"}},
			WithoutReplicaLabels: []string{"replica", "a"}, Limit: 77,
		}},
		{"names_request", &storepb.LabelNamesRequest{
			PartialResponseDisabled: true, Start: 1, End: math.MaxInt64, Hints: anyOf(&hintspb.LabelNamesRequestHints{BlockMatchers: all[:1]}),
			Matchers: all[:2], WithoutReplicaLabels: []string{"r"}, Limit: 5,
		}},
		{"values_request", &storepb.LabelValuesRequest{
			Label: "job", PartialResponseStrategy: storepb.PartialResponseStrategy_ABORT, Start: 1, End: 2,
			Hints: anyOf(&hintspb.LabelValuesRequestHints{}), Matchers: all[2:], WithoutReplicaLabels: []string{"r"}, Limit: 6,
		}},
		{"series_frame", storepb.NewSeriesResponse(&series)},
		{"aggregates", &storepb.Series{Chunks: []storepb.AggrChunk{aggregated()}}},
		{"warning", storepb.NewWarnSeriesResponse(fmt.Errorf("a warning"))},
		{"series_hints", storepb.NewHintsSeriesResponse(anyOf(&hintspb.SeriesResponseHints{QueriedBlocks: blocks}))},
		{"names_response", &storepb.LabelNamesResponse{Names: []string{"a", "b"}, Warnings: []string{"w"}, Hints: anyOf(&hintspb.LabelNamesResponseHints{QueriedBlocks: blocks[:1]})}},
		{"values_response", &storepb.LabelValuesResponse{Values: []string{"x"}, Hints: anyOf(&hintspb.LabelValuesResponseHints{})}},
		{"info_response", &infopb.InfoResponse{
			LabelSets:     []labelpb.ZLabelSet{{Labels: []labelpb.ZLabel{label("cluster", "eu")}}, {Labels: []labelpb.ZLabel{label("cluster", "us"), label("replica", "0")}}},
			ComponentType: "sidecar",
			Store: &infopb.StoreInfo{MinTime: 1000, MaxTime: math.MaxInt64, SupportsSharding: true, SupportsWithoutReplicaLabels: true,
				TsdbInfos: []infopb.TSDBInfo{
					{Labels: labelpb.ZLabelSet{Labels: []labelpb.ZLabel{label("cluster", "eu")}}, MinTime: 1000, MaxTime: math.MaxInt64},
					{Labels: labelpb.ZLabelSet{Labels: []labelpb.ZLabel{label("cluster", "us"), label("replica", "0")}}, MinTime: 2000, MaxTime: 3000},
				}},
		}},
	}
}

// golden prints the messages as Thanos' own encoder writes them, as C: src/storeapi/test_golden.h.
func golden() {
	fmt.Print(`/* test_golden.h — messages of the StoreAPI as Thanos' own encoder writes them.
 *
 * What        One array of bytes each; made by tests/interop/store, which says what is in them.
 * Invariants  none
 * Ownership   static
 * Threads     any
 * Errors      none
 * Format      thanos' rpc.proto, hints.proto, info.proto
 */
#ifndef EPI_STOREAPI_TEST_GOLDEN_H
#define EPI_STOREAPI_TEST_GOLDEN_H

#include <stdint.h>

`)
	for _, v := range vectors() {
		b, err := proto.Marshal(v.m)
		if err != nil {
			panic(err)
		}
		fmt.Printf("static const uint8_t golden_%s[] = {", v.name)
		line := 999
		for i, c := range b {
			s := fmt.Sprintf("%d", c)
			if i < len(b)-1 {
				s += ","
			}
			if line+len(s)+1 > 96 {
				fmt.Print("\n   ")
				line = 3
			}
			fmt.Print(" " + s)
			line += len(s) + 1
		}
		fmt.Println("\n};")
	}
	fmt.Println(strings.TrimSpace("#endif"))
}
