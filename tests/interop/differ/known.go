package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"interop/engine"
)

// What the module v0.314.0 does otherwise than the server 3.14.0, whose behaviour is ours; exact says that the module was built from the
// server's sources, and hides nothing.
var exact bool

var (
	wrapped    = regexp.MustCompile(`(?i)(\[|:|offset\s*[-+]?|_of\([^\]]*)[\s-+]*\(`)
	longNumber = regexp.MustCompile(`(\.\d{12})\d+`)
	placed     = regexp.MustCompile(` \(\d+:\d+\)$`)
	anyOrder   = regexp.MustCompile(`\b(topk|bottomk|limitk|limit_ratio)\b`)
	manyToMany = regexp.MustCompile(`(?s)^(found duplicate series for the match group .* on the (?:left|right) hand-side of the operation: \[)(\{.*\}), (\{.*\})(\].*)$`)
)

// otherAnswer: info has the time of its info series, and the name of what it was given, from its argument's modifiers; a call that is computed
// anew at each step does not see a subquery at a fixed time.
func (p *pair) otherAnswer(expr string) bool {
	return !exact && (strings.Contains(expr, "info(") || p.blind(expr))
}

func (p *pair) blind(expr string) bool {
	tree, err := p.p.ParseExpr(expr)
	if err != nil {
		return false
	}
	found := false
	parser.Inspect(tree, func(node parser.Node, path []parser.Node) error {
		sub, ok := node.(*parser.SubqueryExpr)
		if !ok || (sub.Timestamp == nil && sub.StartOrEnd == 0) {
			return nil
		}
		for i := len(path) - 1; i >= 0; i-- {
			switch n := path[i].(type) {
			case *parser.ParenExpr:
				continue
			case *parser.Call:
				_, moves := promql.AtModifierUnsafeFunctions[n.Func.Name]
				found = found || moves || slices.ContainsFunc(n.Args, movingScalar)
			}
			return nil
		}
		return nil
	})
	return found
}

func tooMany(err error) bool {
	return strings.HasPrefix(err.Error(), "query processing would load too many samples")
}

func sameLabels(err error) bool {
	return err != nil && err.Error() == "vector cannot contain metrics with the same labelset"
}

// twoAtOnce: label_replace, label_join and a minus that drops names put a float and a histogram of one time into one series where labels become equal, as long as no two floats
// or two histograms meet; what reads the series then sees one of them and loses others behind it. Ours says that the label sets are the same.
func (p *pair) twoAtOnce(q engine.Question) bool {
	tree, err := p.p.ParseExpr(q.Query)
	if err != nil {
		return false
	}
	if q.StepMs == 0 {
		q.StartMs, q.StepMs = q.EndMs, 1
	}
	found := false
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.Call:
			if n.Func.Name != "label_replace" && n.Func.Name != "label_join" {
				return nil
			}
		case *parser.UnaryExpr:
		default:
			return nil
		}
		part := q
		part.Query = node.String()
		a := p.askTheirs(part)
		// what does not change from step to step is to have one of the two
		found = found || (a.err != nil && a.err.Error() == "unexpected number of samples")
		for _, s := range matrix(a.value) {
			found = found || slices.ContainsFunc(s.Histograms, func(h promql.HPoint) bool {
				return slices.ContainsFunc(s.Floats, func(f promql.FPoint) bool { return f.T == h.T })
			})
		}
		return nil
	})
	return found
}

// movingScalar: an argument that may change from step to step.
func movingScalar(e parser.Expr) bool {
	_, number := e.(*parser.NumberLiteral)
	return e.Type() == parser.ValueTypeScalar && !number
}

var (
	inexact = regexp.MustCompile(`\b(std(dev|var)_over_time|avg_over_time|sum_over_time|deriv|predict_linear|double_exponential_smoothing)\b`)
	jumps   = regexp.MustCompile(`[%^<>!]|==|\b(sin|cos|tan|exp|floor|ceil|round|count_values|topk|bottomk|sort|sort_desc|changes|resets|sgn|max|min|mad_over_time|\w+_over_time|` +
		`hour|minute|month|year|day_of_\w+|days_in_month|\w*quantile\w*|clamp\w*|a(cos|sin|tan)h?|ln|log\w+|sqrt|limitk|label_\w+)\b`)
)

// chaotic says that a last digit, in which windows that are not summed anew may differ, can change the values as a whole.
func chaotic(expr string) bool { return inexact.MatchString(expr) && jumps.MatchString(expr) }

// laterRule: offsets by expressions and @ start() are refused before a range by the server only.
func laterRule(ours error) bool {
	return !exact && ours != nil && strings.HasSuffix(ours.Error(), " modifiers allowed before range")
}

// otherTree: a duration in brackets keeps them in the server's tree.
func otherTree(text string) bool { return !exact && wrapped.MatchString(text) }

// normalNotes: the places of notes of histogram_quantile and histogram_fraction are those of another argument. Numbers are those of results,
// whose last digits may differ; of more notes than are shown the module chooses by chance.
func normalNotes(expr string, notes []string) []string {
	out := slices.Clone(notes)
	for i := range out {
		if strings.HasSuffix(out[i], " annotations omitted") {
			return nil
		}
		if !exact && strings.Contains(expr, "histogram_") {
			out[i] = placed.ReplaceAllString(out[i], "")
		}
		out[i] = longNumber.ReplaceAllString(out[i], "$1")
	}
	return out
}

// normalError is an error's text with the two series of a many-to-many match in order: the module has them as chance has it. Of a range of steps
// it has the rows of topk and its like as chance has them, so that of more than two series the two are any.
func normalError(q engine.Question, text string) string {
	m := manyToMany.FindStringSubmatch(text)
	if m == nil || exact {
		return text
	}
	if q.StepMs != 0 && anyOrder.MatchString(q.Query) {
		return m[1] + m[4]
	}
	two := []string{m[2], m[3]}
	slices.Sort(two)
	return m[1] + strings.Join(two, ", ") + m[4]
}
