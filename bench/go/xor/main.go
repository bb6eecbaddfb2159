// xor decodes XOR chunks with the Prometheus module, for bench/xor_go: it reads
// the file that `bench_xor --chunks` writes and prints, per pattern, its name,
// ns a sample and a digest of all samples, separated by tabs.
//
// A chunk is walked as a query walks it: an iterator that is used again for the
// next chunk, each sample by Next and At. As in bench/xor.c a hundred chunks are
// measured at a time, in many rounds, and of each hundred its best time counts.
package main

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

type pattern struct {
	name   string
	chunks []chunkenc.Chunk
	best   []time.Duration
	digest uint64
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "xor:", err)
		os.Exit(1)
	}
}

func take(b *[]byte, n int) []byte {
	if n > len(*b) {
		fatal(io.ErrUnexpectedEOF)
	}
	out := (*b)[:n:n]
	*b = (*b)[n:]
	return out
}

func read(path string) []*pattern {
	b, err := os.ReadFile(path)
	fatal(err)
	u32 := func() int { return int(binary.LittleEndian.Uint32(take(&b, 4))) }
	var all []*pattern
	for len(b) > 0 {
		n := u32()
		p := &pattern{name: string(take(&b, u32()))}
		for range n {
			c, err := chunkenc.FromData(chunkenc.EncXOR, take(&b, u32()))
			fatal(err)
			p.chunks = append(p.chunks, c)
		}
		all = append(all, p)
	}
	return all
}

const group = 100

var sinkT int64
var sinkV float64

// measure walks the pattern once and keeps each group's best time.
func (p *pattern) measure(it chunkenc.Iterator) (chunkenc.Iterator, int) {
	samples := 0
	for g := 0; g*group < len(p.chunks); g++ {
		start := time.Now()
		for _, c := range p.chunks[g*group : min((g+1)*group, len(p.chunks))] {
			it = c.Iterator(it)
			for it.Next() != chunkenc.ValNone {
				sinkT, sinkV = it.At()
				samples++
			}
			fatal(it.Err())
		}
		d := time.Since(start)
		if g == len(p.best) {
			p.best = append(p.best, d)
		}
		p.best[g] = min(p.best[g], d)
	}
	return it, samples
}

func (p *pattern) sum() {
	h := fnv.New64a()
	var b [16]byte
	for _, c := range p.chunks {
		for it := c.Iterator(nil); it.Next() != chunkenc.ValNone; {
			t, v := it.At()
			binary.LittleEndian.PutUint64(b[:8], uint64(t))
			binary.LittleEndian.PutUint64(b[8:], math.Float64bits(v))
			h.Write(b[:])
		}
	}
	p.digest = h.Sum64()
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: xor FILE ROUNDS")
		os.Exit(2)
	}
	all := read(os.Args[1])
	rounds, err := strconv.Atoi(os.Args[2])
	fatal(err)
	var it chunkenc.Iterator
	samples := make([]int, len(all))
	for range rounds {
		for i, p := range all {
			it, samples[i] = p.measure(it)
		}
	}
	for i, p := range all {
		var total time.Duration
		for _, d := range p.best {
			total += d
		}
		p.sum()
		fmt.Printf("%s\t%.3f\t%016x\n", p.name, float64(total.Nanoseconds())/float64(samples[i]), p.digest)
	}
}
