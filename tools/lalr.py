#!/usr/bin/env python3
"""lalr.py GRAMMAR OUT.c — builds the LALR(1) tables of a grammar, with yacc's rules for what a grammar leaves open.

Why tables of our own and not a parser generator: which error a wrong text gets depends on the default reductions and on the states
that can shift `error`; both have to be those of the reference, so both are chosen here, in the open.

A grammar file holds, one a line (# starts a comment):
    %include "header.h"            declares the token and action enums and the tables
    %tokens PREFIX NAME…           in the order of the enum; may be repeated
    %left|%right|%nonassoc NAME…   precedence, lowest first
    lhs: sym sym … [%prec NAME] [=> ACTION]
    |    sym sym …                 one more alternative for the lhs above
The first rule's lhs is the start symbol. Capital names are tokens; `error` is the error token. An alternative without an action keeps
the value of its first symbol.

Rules: a shift/reduce conflict is decided by precedence, else for the shift; a reduce/reduce conflict for the earlier rule. The
reduction most frequent in a state becomes its default (the first in token order on a tie), except where `error` can be shifted. A state
without shifts and with one reduction takes it without a look at the next token ("blind").
"""
import re
import sys
from collections import defaultdict

END, ERROR, UNKNOWN = "$end", "error", "$unk"


class Grammar:
    def __init__(self, path):
        self.include, self.prefix = "", ""
        self.tokens = [END, ERROR, UNKNOWN]
        self.level, self.assoc = {}, {}
        self.rules = []                     # (lhs, [sym…], precedence level, action)
        self.where = []
        lhs, level = None, 0
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if not line:
                continue
            word = line.split()
            if word[0] == "%include":
                self.include = word[1].strip('"')
            elif word[0] == "%tokens":
                self.prefix = word[1]
                self.tokens += word[2:]
            elif word[0] in ("%left", "%right", "%nonassoc"):
                level += 1
                for name in word[1:]:
                    self.level[name], self.assoc[name] = level, word[0]
            else:
                if line.startswith("|"):
                    body = line[1:]
                else:
                    lhs, body = line.split(":", 1)
                    lhs = lhs.strip()
                self.rule(lhs, body, "%s:%d" % (path, number))
        self.is_token = set(self.tokens)
        self.check()

    def rule(self, lhs, body, where):
        body, _, action = body.partition("=>")
        body, _, prec = body.partition("%prec")
        syms = body.split()
        last = prec.strip() or next((s for s in reversed(syms) if s in self.tokens), "")
        self.rules.append((lhs, syms, self.level.get(last, 0), action.strip()))
        self.where.append(where)

    def check(self):
        self.nonterminals = []
        for lhs, _, _, _ in self.rules:
            if lhs not in self.nonterminals:
                self.nonterminals.append(lhs)
        for (lhs, syms, _, _), where in zip(self.rules, self.where):
            for s in syms:
                if s not in self.is_token and s not in self.nonterminals:
                    sys.exit("%s: unknown symbol %s" % (where, s))
        self.rules.insert(0, ("$accept", [self.rules[0][0], END], 0, ""))
        self.of = defaultdict(list)
        for i, (lhs, _, _, _) in enumerate(self.rules):
            self.of[lhs].append(i)


class Automaton:
    """LR(0) states, then lookaheads by the relations of DeRemer and Pennello."""

    def __init__(self, g):
        self.g = g
        self.states, self.index, self.to = [], {}, []
        self.closures = []
        self.add(((0, 0),))
        at = 0
        while at < len(self.states):
            moves = {}
            for rule, dot in self.closures[at]:
                syms = g.rules[rule][1]
                if dot < len(syms):
                    moves.setdefault(syms[dot], []).append((rule, dot + 1))
            self.to.append({s: self.add(tuple(sorted(kernel))) for s, kernel in moves.items()})
            at += 1
        self.nullable()
        self.lookaheads()

    def add(self, kernel):
        if kernel not in self.index:
            self.index[kernel] = len(self.states)
            self.states.append(kernel)
            self.closures.append(self.closure(kernel))
        return self.index[kernel]

    def closure(self, kernel):
        out, seen = list(kernel), set()
        for rule, dot in out:
            syms = self.g.rules[rule][1]
            if dot < len(syms) and syms[dot] not in self.g.is_token and syms[dot] not in seen:
                seen.add(syms[dot])
                out += [(r, 0) for r in self.g.of[syms[dot]]]
        return out

    def nullable(self):
        self.empty, more = set(), True
        while more:
            more = False
            for lhs, syms, _, _ in self.g.rules:
                if lhs not in self.empty and all(s in self.empty for s in syms):
                    self.empty.add(lhs)
                    more = True

    def walk(self, state, syms):
        for s in syms:
            state = self.to[state][s]
        return state

    def lookaheads(self):
        g, bit = self.g, {t: 1 << i for i, t in enumerate(self.g.tokens)}
        follow, edges = {}, defaultdict(set)
        for p, moves in enumerate(self.to):
            for a, r in moves.items():
                if a in g.is_token:
                    continue
                follow[p, a] = sum(bit[t] for t in self.to[r] if t in g.is_token)
                edges[p, a] |= {(r, c) for c in self.to[r] if c in self.empty}
        lookback = defaultdict(set)
        for p, a in follow:
            for rule in g.of[a]:
                state, syms = p, g.rules[rule][1]
                for i, s in enumerate(syms):
                    if s not in g.is_token and all(x in self.empty for x in syms[i + 1:]):
                        edges[state, s].add((p, a))
                    state = self.to[state][s]
                lookback[state, rule].add((p, a))
        more = True
        while more:
            more = False
            for x in follow:
                new = follow[x]
                for y in edges[x]:
                    new |= follow[y]
                if new != follow[x]:
                    follow[x], more = new, True
        self.la = defaultdict(int)
        for key, back in lookback.items():
            for x in back:
                self.la[key] |= follow[x]


class Tables:
    """actions[state][token]: s > 0 shift to s, -r reduce by r, ACCEPT, FAIL, absent: the default"""
    ACCEPT, FAIL = "ACCEPT", "FAIL"

    def __init__(self, a):
        self.a, self.g = a, a.g
        self.rows, self.default, self.blind = [], [], []
        for state in range(len(a.states)):
            self.state(state)

    def state(self, state):
        g, row = self.g, {}
        for sym, to in self.a.to[state].items():
            if sym == END:
                row[END] = self.ACCEPT
            elif sym in g.is_token:
                row[sym] = to
        shifts = bool(row)
        for rule, dot in self.a.closures[state]:
            if dot == len(g.rules[rule][1]):
                for i, t in enumerate(g.tokens):
                    if self.a.la[state, rule] >> i & 1:
                        self.reduce(row, t, rule)
        count = defaultdict(int)
        for t in g.tokens:
            if isinstance(row.get(t), int) and row[t] < 0:
                count[row[t]] += 1
        best = max(count, key=count.get) if count else 0
        if isinstance(row.get(ERROR), int) and row[ERROR] > 0:
            best = 0
        row = {t: x for t, x in row.items() if x != best}
        self.rows.append(row)
        self.default.append(best)
        self.blind.append(not shifts and not row and best != 0)

    def reduce(self, row, t, rule):
        old, prec, level = row.get(t), self.g.rules[rule][2], self.g.level.get(t, 0)
        if old is None:
            row[t] = -rule
        elif old == self.FAIL or old == self.ACCEPT:
            return
        elif old < 0:
            row[t] = max(old, -rule)
        elif prec and level:
            if prec > level or (prec == level and self.g.assoc[t] == "%left"):
                row[t] = -rule
            elif prec == level and self.g.assoc[t] == "%nonassoc":
                row[t] = self.FAIL

    def write(self, out):
        g = self.g
        nonterminal = {n: i for i, n in enumerate(g.nonterminals)}
        accept, fail = 32001, 32000
        code = {self.ACCEPT: accept, self.FAIL: fail}
        rows = [tuple(code.get(r.get(t, 0), r.get(t, 0)) for t in g.tokens) for r in self.rows]
        gotos = [tuple(m.get(n, 0) for n in g.nonterminals) for m in self.a.to]
        w = out.write
        w("/* Tables of the grammar; made by tools/lalr.py. */\n#include \"%s\"\n\n" % g.include)
        for i, t in enumerate(g.tokens[3:], 3):
            w("_Static_assert(%s%s == %d, \"token order\");\n" % (g.prefix, t, i))
        w("_Static_assert(GRAMMAR_ACCEPT == %d && GRAMMAR_FAIL == %d, \"action codes\");\n" % (accept, fail))
        w("_Static_assert(GRAMMAR_TOKENS == %d, \"token count\");\n\n" % len(g.tokens))
        self.deduped(w, "grammar_action", "GRAMMAR_TOKENS", rows)
        self.deduped(w, "grammar_goto", str(len(nonterminal)), gotos)
        w("const int16_t grammar_default[] = {%s};\n" % ",".join(map(str, self.default)))
        w("const bool grammar_blind[] = {%s};\n" % ",".join("01"[b] for b in self.blind))
        w("const struct grammar_rule grammar_rules[] = {\n")
        for lhs, syms, _, action in g.rules:
            w("    { %d, %d, %s }, /* %s: %s */\n" % (nonterminal.get(lhs, 0), len(syms), action or "ACT_NONE", lhs, " ".join(syms)))
        w("};\n")

    def deduped(self, w, name, width, rows):
        index, unique = {}, []
        for r in rows:
            if r not in index:
                index[r] = len(unique)
                unique.append(r)
        w("static const int16_t %s_table[][%s] = {\n" % (name, width))
        for r in unique:
            w("    {%s},\n" % ",".join(map(str, r)))
        w("};\nconst int16_t *const %s_row[] = {\n" % name)
        for r in rows:
            w("    %s_table[%d],\n" % (name, index[r]))
        w("};\n")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tables = Tables(Automaton(Grammar(sys.argv[1])))
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        tables.write(out)


if __name__ == "__main__":
    main()
