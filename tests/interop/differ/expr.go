package main

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// writer makes random expressions.
type writer struct {
	rng       *rand.Rand
	functions []*parser.Function // in the order of their names
	startMs   int64              // of the data
}

func newWriter(rng *rand.Rand, startMs int64) *writer {
	w := &writer{rng: rng, startMs: startMs}
	for _, f := range parser.Functions {
		if f.Name != "time" || len(f.ArgTypes) == 0 {
			w.functions = append(w.functions, f)
		}
	}
	slices.SortFunc(w.functions, func(a, b *parser.Function) int { return strings.Compare(a.Name, b.Name) })
	return w
}

func (w *writer) chance(p float64) bool { return w.rng.Float64() < p }

var names = []string{
	"c_total", "c_total", "g", "g2", "h", "n", "m", "hg", "b_bucket", "target_info", "build_info", "k", "b", "b_count", `"a.b/c"`, "none",
}

func (w *writer) matcher() string {
	return pick(w.rng, `job="j0"`, `job!="j0"`, `job=~"j.*"`, `instance=~"i[01]"`, `instance!~"i1|i2"`, `mode=""`, `mode!=""`, `path=~"/.+"`,
		`instance="i0"`, `le!="x"`, `le="0.5"`, `job=~"j0|j1"`, `version=~".*"`, `__type__="counter"`, `__type__!="gauge"`, `__unit__=~".+"`, `"x.y"!="1"`,
		`job=""`, `instance=~"i0|"`, `job!~""`, `job=~"(?i)J0"`, `__name__!="g"`, `"job"='j0'`, "instance=`i0`", `le=~"0\\.[15]|1"`, `instance=~"i[^0]|"`,
		`job=~"j0"`, `path!~"/a|/b"`, `version!~"|1"`, `"x.y"=~".|é"`, `mode=~"us.*|idle"`, `job=~"j(0|2)"`, `instance!=""`, `rev=""`, `job!="\u006a0"`, `job='\x6a0'`)
}

func (w *writer) selector() string {
	var ms []string
	for w.chance(0.4) {
		ms = append(ms, w.matcher())
	}
	if w.chance(0.08) {
		ms = append([]string{pick(w.rng, `__name__=~"g.*"`, `__name__=~"h|n|m"`, `__name__=~"c_total|g2"`, `__name__="g"`)}, ms...)
		return "{" + strings.Join(ms, ",") + "}"
	}
	name := pick(w.rng, names...)
	if name[0] == '"' {
		return "{" + strings.Join(append([]string{name}, ms...), ", ") + "}"
	}
	if len(ms) == 0 {
		return name + pick(w.rng, "", "", "", "", "", "{}")
	}
	if w.chance(0.05) {
		return "{" + strings.Join(append(ms, `"`+name+`"`), ",") + pick(w.rng, "", ",") + "}"
	}
	return name + "{" + strings.Join(ms, ",") + "}"
}

func (w *writer) duration() string {
	if w.chance(0.06) {
		return pick(w.rng, "step()", "(step()*2)", "max_of(step(),1m)", "min_of(range(),5m)", "(30s+30s)", "(2*1m-10s)", "90", "(1m)", "-(-2m)", "5m/2", "2^6",
			"100%70", "0x3c", "1_0", "6e1", "step()+step()", "(range()/3)", "min_of(step(),range())", "-step()", "max_of(1m,-(5m))", "((1m))", "1m30s500ms", "max_of(min_of(1m,2m),step()+10)", "(range()+1m)", "0.001", "1.5", "(5m-5m)", "-1m", "+3m", "5m*-1", "1h/(step()+1)")
	}
	return pick(w.rng, "1m", "2m", "5m", "30s", "10m", "45s", "1m30s", "15s", "1ms", "20m")
}

func (w *writer) when() string {
	if w.chance(0.1) {
		return pick(w.rng, "1.6e9", "-1.5", "0x10", "1_000", "1000.0005", "1e3", "+7", "-Inf", "NaN", "9e15")
	}
	return fmt.Sprintf("%d.%03d", (w.startMs+w.rng.Int63n(spanMs))/1000, w.rng.Intn(2)*w.rng.Intn(1000))
}

// modifiers of a selector or a subquery.
func (w *writer) modifiers() string {
	out := ""
	if w.chance(0.12) {
		out += " offset " + pick(w.rng, "", "", "-") + pick(w.rng, "1m", "30s", "7m", "15s", "step()", "(1m+30s)", "(step()/2)", "min_of(1m,step())", "0s", "90.5", "1ms", "+1m", "(-1m)", "-(1m)", "1h/3", "range()", "-step()", "1e1", "20m", "max_of(step(), 2m)")
	}
	if w.chance(0.1) {
		at := " @ " + pick(w.rng, "start()", "end()", w.when(), w.when(), "-1", "0")
		if w.chance(0.3) {
			return at + out
		}
		out += at
	}
	return out
}

func (w *writer) matrix(depth int, extended bool) string {
	if depth > 0 && w.chance(0.25) {
		if depth > 1 && w.chance(0.15) { // one over another
			inner := fmt.Sprintf("%s(%s)", pick(w.rng, "max_over_time", "rate", "sum_over_time", "last_over_time", "count_over_time", "increase", "timestamp"), w.matrix(depth-1, false))
			return fmt.Sprintf("%s[%s:%s]%s", inner, pick(w.rng, "5m", "2m", "3m1s", "range()"), pick(w.rng, "", "30s", "7s", "step()", "1m"), w.modifiers())
		}
		step := pick(w.rng, "", "30s", "1m", "15s", "7s", "step()", "max_of(step(),5s)", "(7s+8s)", "20", "0.5")
		of := w.operand(w.vector(depth - 1))
		if w.chance(0.25) {
			of = w.selector() + w.modifiers()
		}
		return fmt.Sprintf("%s[%s:%s]%s", of, pick(w.rng, "5m", "2m", "10m", "1m", "range()", "(1m+step())", "45"), step, w.modifiers())
	}
	how := ""
	if extended && w.chance(0.3) {
		how = pick(w.rng, " anchored", " smoothed")
	}
	if w.chance(0.1) { // windows that overlap much, of histograms
		return fmt.Sprintf("%s[%s]%s%s", pick(w.rng, "h", "n", "hg", "m", "b", "k", `{__name__=~"h|n"}`), pick(w.rng, "10m", "20m", "35m"), how, w.modifiers())
	}
	return fmt.Sprintf("%s[%s]%s%s", w.selector(), w.duration(), how, w.modifiers())
}

// operand is e in brackets where it has to be.
func (w *writer) operand(e string) string { return "(" + e + ")" }

func (w *writer) number() string {
	return pick(w.rng, "0", "1", "2", "0.5", "-1", "10", "1e3", "NaN", "Inf", "-Inf", "0.9", "3.7", "-0.25", "1e-3", "100", "0.1", "1e100", "5", "0x1F", "1_000", ".5", "1m", "1h30m", "5.", "010", "0.30000000000000004", "1e-300", "60", "1.7e9", "-0", "4503599627370497", "inf", "nan")
}

func (w *writer) scalar(depth int) string {
	if depth <= 0 || w.chance(0.6) {
		return w.number()
	}
	switch w.rng.Intn(4) {
	case 0:
		return "scalar(" + w.vector(depth-1) + ")"
	case 1:
		return "(" + w.scalar(depth-1) + pick(w.rng, "+", "-", "*", "/", "%", "^", " == bool ", " < bool ", " atan2 ") + w.scalar(depth-1) + ")"
	case 2:
		return w.call(depth, parser.ValueTypeScalar)
	}
	return "-" + w.operand(w.scalar(depth-1))
}

func (w *writer) labelNames() string {
	var out []string
	for w.chance(0.6) && len(out) < 3 {
		out = append(out, pick(w.rng, "job", "instance", "mode", "path", "le", "version", "nope", "__name__", "__type__", "__unit__", `"x.y"`, "data", "sum", "by", "on", "rev", `"job"`, `"a b"`, "bool", "offset", "start", "fill"))
	}
	if len(out) > 0 && w.chance(0.05) {
		out = append(out, "")
	}
	return "(" + strings.Join(out, ",") + ")"
}

func (w *writer) text() string {
	return `"` + pick(w.rng, "job", "instance", "mode", "le", "x", "", "$1", "$1-$2", "(.*)", "j(.)", "i(\\\\d)(.*)", "__name__", "${1}x", "new", "a b", "version", "__type__", "__unit__", "x.y", "h", "1", "${1}-$x", "$0") + `"`
}

func (w *writer) argument(depth int, t parser.ValueType, extended bool) string {
	switch t {
	case parser.ValueTypeScalar:
		return w.scalar(depth - 1)
	case parser.ValueTypeMatrix:
		return w.matrix(depth-1, extended)
	case parser.ValueTypeString:
		return w.text()
	}
	return w.vector(depth - 1)
}

var extendable = map[string]bool{"rate": true, "increase": true, "delta": true, "resets": true, "changes": true}

// call calls a random function that gives a value of that type.
func (w *writer) call(depth int, t parser.ValueType) string {
	f := w.functions[w.rng.Intn(len(w.functions))]
	for f.ReturnType != t {
		f = w.functions[w.rng.Intn(len(w.functions))]
	}
	return w.callOf(depth, f)
}

func (w *writer) callOf(depth int, f *parser.Function) string {
	n := len(f.ArgTypes)
	switch {
	case f.Variadic > 0:
		n += w.rng.Intn(min(f.Variadic, 3)+1) - 1
		if f.Name == "histogram_quantiles" {
			n = max(n, 3)
		}
		n = max(n, 0)
	case f.Variadic < 0:
		n += w.rng.Intn(3) - 1
	}
	var args []string
	for i := range n {
		args = append(args, w.argument(depth, f.ArgTypes[min(i, len(f.ArgTypes)-1)], extendable[f.Name]))
	}
	switch f.Name {
	case "info":
		if len(args) > 1 {
			args[1] = pick(w.rng, `{version=~".*"}`, `{data="x"}`, `{__name__=~".*_info"}`, `{__name__="target_info",version!="1"}`, `{__name__="build_info"}`, `{}`,
				`{__name__!="target_info",rev=~".+"}`, `{version=""}`, `{rev=~"r.|"}`, `{__name__=~"build_info|target_info",data!="y"}`, `{job="j0"}`, `{instance=~".*"}`)
		}
	case "histogram_quantile":
		if w.chance(0.4) {
			args[1] = pick(w.rng, "b_bucket", "rate(b_bucket[5m])", "sum by (le,job) (rate(b_bucket[2m]))", "h", "rate(h[5m])", "n", `{__name__=~"b_bucket|h"}`,
				`{__name__=~"b|b_bucket"}`, "rate(b[3m])", `sum by (le, __name__) ({__name__=~"b_bucket|b"})`, "sum without (le) (b)", "rate(k[5m])")
		}
	case "histogram_fraction":
		if w.chance(0.4) {
			args[2] = pick(w.rng, "b_bucket", "h", "rate(n[3m])", "hg", "sum by (le) (b_bucket)")
		}
	case "label_replace":
		args[1], args[2], args[3] = pick(w.rng, `"new"`, `"job"`, `"__name__"`, `"a b"`, w.text()), pick(w.rng, `"$1"`, `"x$1"`, `""`, `"${2}"`, w.text()),
			pick(w.rng, `"job"`, `"instance"`, `"__name__"`, w.text())
		args[4] = pick(w.rng, `"(.*)"`, `"j(.*)"`, `"i(\\d)(.*)"`, `"("`, w.text())
	}
	return f.Name + "(" + strings.Join(args, ", ") + ")"
}

func (w *writer) aggregation(depth int) string {
	op := pick(w.rng, "sum", "sum", "avg", "min", "max", "count", "stddev", "stdvar", "group", "topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio")
	arg := ""
	switch op {
	case "topk", "bottomk", "limitk":
		arg = pick(w.rng, "1", "2", "3", "100", "0", w.scalar(depth-1)) + ", "
	case "quantile":
		arg = pick(w.rng, "0.5", "0.9", w.scalar(depth-1)) + ", "
	case "limit_ratio":
		arg = pick(w.rng, "0.5", "-0.5", "1", "0", w.scalar(depth-1)) + ", "
	case "count_values":
		arg = pick(w.rng, `"v"`, `"job"`, `"a b"`, w.text()) + ", "
	}
	how := ""
	if w.chance(0.7) {
		how = pick(w.rng, " by ", " without ") + w.labelNames() + " "
	}
	if how != "" && w.chance(0.3) {
		return op + "(" + arg + w.vector(depth-1) + ")" + how
	}
	return op + how + "(" + arg + w.vector(depth-1) + ")"
}

func (w *writer) matching(op string) string {
	set := op == "and" || op == "or" || op == "unless"
	out := ""
	if w.chance(0.5) {
		out += pick(w.rng, " on", " ignoring") + w.labelNames()
		if !set && w.chance(0.4) {
			out += pick(w.rng, " group_left", " group_right") + pick(w.rng, "", w.labelNames())
		}
	}
	if !set && w.chance(0.15) {
		out += pick(w.rng, " fill(0)", " fill_left(1)", " fill_right(-2)", " fill_left(1) fill_right(NaN)", " fill_right(3) fill_left(-1)", " fill(Inf)", " fill(-0.5)", " fill(1m)",
			" fill_left(0)", " fill_right(1e3)", " fill(NaN)", " fill_left(-Inf)", " fill_right(+5)")
	}
	return out
}

func (w *writer) binary(depth int) string {
	op := pick(w.rng, "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless", "+", "-", "*", "/", "</", ">/")
	b := ""
	if slices.Contains([]string{"==", "!=", ">", "<", ">=", "<="}, op) && w.chance(0.4) {
		b = " bool"
	}
	set := op == "and" || op == "or" || op == "unless"
	if !set && w.chance(0.35) {
		l, r := w.vector(depth-1), w.scalar(depth-1)
		if w.chance(0.4) {
			l, r = r, l
		}
		return w.operand(l) + " " + op + b + " " + w.operand(r)
	}
	l := w.vector(depth - 1)
	r := w.vector(depth - 1)
	switch {
	case w.chance(0.2):
		r = l
	case w.chance(0.15): // histograms beside histograms
		of := []string{"h", "n", "hg", "k", "b", "m", "rate(h[5m])", "rate(n[5m])", "h offset 1m", "n offset 2m", "sum(h)", "avg by (job) (n)", "histogram_quantile(0.5,h)", "2*h", "-n", "h/0", "hg*-1", "h@start()"}
		l, r = pick(w.rng, of...), pick(w.rng, of...)
	}
	if w.chance(0.05) {
		op = strings.ToUpper(op)
		return w.operand(l) + " " + op + " " + w.operand(r)
	}
	return w.operand(l) + " " + op + b + w.matching(op) + " " + w.operand(r)
}

func (w *writer) vector(depth int) string {
	if depth <= 0 || w.chance(0.1) {
		how := ""
		if w.chance(0.03) {
			how = pick(w.rng, " anchored", " smoothed")
		}
		return w.selector() + how + w.modifiers()
	}
	switch w.rng.Intn(11) {
	case 10:
		return w.usual()
	case 0, 1, 2, 3:
		return w.call(depth, parser.ValueTypeVector)
	case 4, 5, 6:
		return w.aggregation(depth)
	case 7, 8:
		return w.binary(depth)
	}
	if w.chance(0.2) {
		return pick(w.rng, "-", "+") + w.call(depth, parser.ValueTypeVector)
	}
	return pick(w.rng, "-", "+", "", "-+") + w.operand(w.vector(depth-1))
}

// usual is what people ask.
func (w *writer) usual() string {
	r := func() string {
		return pick(w.rng, "rate", "increase", "irate", "delta", "sum_over_time", "avg_over_time", "max_over_time") + "(" + w.matrix(1, false) + ")"
	}
	by := func() string { return pick(w.rng, "by", "without") + w.labelNames() }
	q := pick(w.rng, "0.5", "0.9", "0.99", "0", "1", "-1", "2", "NaN", "0.001")
	switch w.rng.Intn(12) {
	case 0:
		return "sum " + by() + " (" + r() + ")"
	case 1:
		return "histogram_quantile(" + q + ", sum by (le" + pick(w.rng, "", ",job", ",instance", ",job,instance") + ") (rate(b_bucket[" + w.duration() + "])))"
	case 2:
		return "histogram_quantile(" + q + ", " + pick(w.rng, "sum", "avg", "sum by (job)", "max", "sum without (instance)") + "(" + pick(w.rng, "rate", "increase", "delta", "irate", "last_over_time", "sum_over_time", "avg_over_time") + "(" + pick(w.rng, "h", "n", "k", "b", "m", "hg") + "[" + w.duration() + "])))"
	case 3:
		return r() + " / " + pick(w.rng, "on(job,instance) ", "ignoring(mode,path) ", "on(instance) group_left ", "ignoring(path) group_left(mode) ", "on(job) group_right(version,data) ") + r()
	case 4:
		return "topk(" + pick(w.rng, "1", "2", "5") + ", sum " + by() + " (" + r() + "))"
	case 5:
		return pick(w.rng, "histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar") + "(" + pick(w.rng, "rate(h[5m])", "h", "n", "hg", "sum(h)", "avg(n)", "h - h offset 1m", "increase(k[3m])", "last_over_time(n[10m])", "h*-1", "sum_over_time(hg[5m])") + ")"
	case 6:
		return "histogram_fraction(" + w.number() + "," + w.number() + "," + pick(w.rng, "h", "n", "rate(h[5m])", "sum(n)", "b_bucket", "hg", "h*0", "n offset -1m") + ")"
	case 7:
		return pick(w.rng, "absent", "absent_over_time", "present_over_time", "count_over_time", "changes", "resets", "timestamp", "last_over_time", "start_timestamp", "first_over_time") + "(" + pick(w.rng, w.selector(), w.selector()+"["+w.duration()+"]") + ")"
	case 8:
		return "label_replace(" + r() + `, "` + pick(w.rng, "dst", "job", "a.b", "instance") + `", "` + pick(w.rng, "$1", "x-$1", "${1}", "$name", "") + `", "` + pick(w.rng, "instance", "job", "nope", "x.y") + `", "` + pick(w.rng, "i(.*)", "(.*)", "(?P<name>.).*", "", "x") + `")`
	case 9:
		return "(" + w.selector() + ") " + pick(w.rng, "and", "or", "unless") + pick(w.rng, "", " on()", " on(job)", " ignoring(mode)", " on(instance, job)") + " (" + r() + pick(w.rng, " > 0", " == 0", " < bool 1", "") + ")"
	case 10:
		return pick(w.rng, "h", "n", "k", "rate(h[2m])", "sum(n)") + " " + pick(w.rng, "</", ">/") + " " + w.number()
	}
	return "sum_over_time((" + r() + ")[" + w.duration() + ":" + pick(w.rng, "", "30s", "step()") + "])"
}

// spaced is an expression with other space between its words, which moves the places that notes tell.
func (w *writer) spaced(text string) string {
	var out strings.Builder
	quote := byte(0)
	for i := range len(text) {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote && text[i-1] != '\\' {
				quote = 0
			}
		case c == '"':
			quote = c
		case c == ' ' && w.chance(0.2):
			out.WriteString(pick(w.rng, "\n", "\t", "  ", " # c\n", "\r\n"))
			continue
		}
		out.WriteByte(c)
	}
	return out.String()
}

// expr is one of any type.
func (w *writer) expr() string {
	depth := 1 + w.rng.Intn(4)
	switch w.rng.Intn(25) {
	case 0:
		return w.scalar(depth)
	case 1:
		return w.text()
	case 2:
		return w.matrix(depth, false)
	}
	if w.chance(0.1) {
		return w.spaced(w.vector(depth))
	}
	return w.vector(depth)
}

// broken is an expression in which something was changed, which most often makes it none.
func (w *writer) broken() string {
	text := w.expr()
	for range 1 + w.rng.Intn(2) {
		at := w.rng.Intn(len(text) + 1)
		switch w.rng.Intn(4) {
		case 0:
			text = text[:at] + pick(w.rng, "(", ")", "[", "]", "{", "}", ",", "\"", "'", "#", " by", " offset", " @", ":", "5m", "=~", "bool", "\x00", "é", "~", "!", "-", "1_0", "0x", "$", "`", "sum", " on (", "start()", "\\", "9999999999999999999y", "fill(") + text[at:]
		case 1:
			to := min(len(text), at+1+w.rng.Intn(5))
			text = text[:at] + text[to:]
		case 2:
			other := w.expr()
			text = text[:at] + other[w.rng.Intn(len(other)):]
		case 3:
			if to := min(len(text), at+1+w.rng.Intn(8)); to > at {
				text = text[:to] + text[at:]
			}
		}
	}
	return text
}
