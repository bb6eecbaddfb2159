package main

import (
	"fmt"
	"math/rand"

	"github.com/prometheus/prometheus/model/labels"
)

const (
	startMs      = int64(1_700_006_400_000) // a multiple of a day
	intervalMs   = int64(15_000)
	perInstance  = 50
	instancesJob = 40
)

var bounds = []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"}

// A series of the data: its labels and how it goes on. Every series has a random source of its own, so that its samples do not
// depend on which others are made, nor in which order.
type series struct {
	labels labels.Labels
	kind   int
	share  float64 // of a bucket: how much of the growth falls into it or below
	r      *rand.Rand
	value  float64
	offset int64 // of the scrapes of its instance
	jitter *rand.Rand
}

const (
	counter = iota
	gauge
	bucket
	constant
)

// seriesAt makes series i as it is before its first sample.
func seriesAt(i int) *series {
	instance, k := i/perInstance, i%perInstance
	job := instance / instancesJob
	l := []string{"job", fmt.Sprintf("job-%02d", job), "instance", fmt.Sprintf("10.0.%d.%d:9100", instance/200, instance%200), "env", "prod"}
	s := &series{r: rand.New(rand.NewSource(int64(i))), offset: int64(instance*7919) % intervalMs}
	if instance%4 == 3 {
		s.jitter = rand.New(rand.NewSource(int64(1000000 + instance)))
	}
	switch {
	case k < 20:
		s.kind = counter
		l = append(l, "__name__", "bench_requests_total", "path", fmt.Sprintf("/api/v1/p%d", k/2), "code", []string{"200", "500"}[k%2])
	case k < 30:
		s.kind = gauge
		s.value = 1e6 * s.r.Float64()
		l = append(l, "__name__", "bench_temperature_celsius", "sensor", fmt.Sprintf("s%d", k-20))
	case k < 42:
		s.kind = bucket
		s.share = float64(k-29) / 12
		s.r = rand.New(rand.NewSource(int64(2000000 + instance))) // the buckets of a histogram grow together
		l = append(l, "__name__", "bench_latency_seconds_bucket", "le", bounds[k-30])
	case k < 44:
		s.kind = counter
		l = append(l, "__name__", []string{"bench_latency_seconds_count", "bench_bytes_total"}[k-42])
	default:
		s.kind = constant
		s.value = float64(k * 1024)
		l = append(l, "__name__", "bench_limit_bytes", "area", fmt.Sprintf("a%d", k-44))
	}
	s.labels = labels.FromStrings(l...)
	return s
}

// next gives the sample of scrape n; n grows one by one.
func (s *series) next(n int64) (int64, float64) {
	t := startMs + s.offset + n*intervalMs
	if s.jitter != nil {
		t += int64(s.jitter.Intn(20)) - 10
	}
	switch s.kind {
	case counter:
		s.value += float64(s.r.Intn(200))
		if s.r.Intn(2000) == 0 {
			s.value = 0
		}
	case gauge:
		s.value += float64(s.r.Intn(2001)-1000) / 8
		if s.r.Intn(3) == 0 {
			s.value *= 1 + (s.r.Float64()-0.5)/100
		}
	case bucket:
		grow := s.r.Intn(1000)
		s.value += float64(int(float64(grow) * s.share))
		if s.r.Intn(3000) == 0 {
			s.value = 0
		}
	}
	return t, s.value
}
