package engine

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/stats"
)

// Storage is one of the module that has a folder, which our engine opens when it is asked. The module's appenders go through it: what was
// committed since makes it open the folder anew.
type Storage struct {
	storage.Storage
	Options Options
	folder  *Folder
}

type appender struct {
	storage.AppenderV2
	s *Storage
}

func (a appender) Commit() error {
	a.s.forget()
	return a.AppenderV2.Commit()
}

func (s *Storage) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return appender{s.Storage.AppenderV2(ctx), s}
}

func (s *Storage) forget() {
	if s.folder != nil {
		s.folder.Close()
		s.folder = nil
	}
}

func (s *Storage) Close() error {
	s.forget()
	return s.Storage.Close()
}

func (s *Storage) open() (_ *Folder, err error) {
	if s.folder == nil {
		s.folder, err = Open(s.Options)
	}
	return s.folder, err
}

// Engine is our engine under the module's interface; its queries go to a Storage. Kept: half of the steps of a range query are asked for before,
// so that it may be answered by what is kept of them.
type Engine struct{ Kept bool }

type query struct {
	kept bool
	s    *Storage
	q    Question
	stmt *parser.EvalStmt
}

var errStorage = errors.New("not a storage that our engine can open")

func (e Engine) prepare(q storage.Queryable, qs string, start, end time.Time, step time.Duration) (promql.Query, error) {
	s, ok := q.(*Storage)
	if !ok {
		return nil, errStorage
	}
	stmt := &parser.EvalStmt{Start: start, End: end, Interval: step}
	return &query{e.Kept, s, Question{Query: qs, StartMs: start.UnixMilli(), EndMs: end.UnixMilli(), StepMs: step.Milliseconds()}, stmt}, nil
}

func (e Engine) NewInstantQuery(_ context.Context, q storage.Queryable, _ promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	return e.prepare(q, qs, ts, ts, 0)
}

func (e Engine) NewRangeQuery(
	_ context.Context, q storage.Queryable, _ promql.QueryOpts, qs string, start, end time.Time, step time.Duration) (promql.Query, error) {
	return e.prepare(q, qs, start, end, step)
}

func (q *query) Exec(context.Context) *promql.Result {
	f, err := q.s.open()
	if err != nil {
		return &promql.Result{Err: err}
	}
	asked := q.q
	if q.kept && asked.StepMs > 0 {
		asked.Kept = true
		half := asked
		half.EndMs = half.StartMs + (half.EndMs-half.StartMs)/2
		_ = f.Query(half)
	}
	a := f.Query(asked)
	if a.Err != nil {
		return &promql.Result{Err: a.Err}
	}
	return &promql.Result{Value: a.Value, Warnings: a.Annotations()}
}

func (*query) Close()                        {}
func (*query) Cancel()                       {}
func (q *query) Statement() parser.Statement { return q.stmt }
func (*query) Stats() *stats.Statistics      { return nil }
func (q *query) String() string              { return q.q.Query }
