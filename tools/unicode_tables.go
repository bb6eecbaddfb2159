// Prints src/base/utf8_tables.h: the ranges of code points behind rune_is_print, rune_is_letter and rune_is_digit.
// Run: go run tools/unicode_tables.go >src/base/utf8_tables.h
package main

import (
	"fmt"
	"unicode"
)

func table(name string, in func(rune) bool) {
	fmt.Printf("static const struct rune_range %s[] = {", name)
	column := 120
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !in(r) {
			continue
		}
		lo := r
		for r < unicode.MaxRune && in(r+1) {
			r++
		}
		word := fmt.Sprintf("{ 0x%x, 0x%x },", lo, r)
		if column+1+len(word) > 118 {
			fmt.Print("\n   ")
			column = 3
		}
		fmt.Print(" ", word)
		column += 1 + len(word)
	}
	fmt.Print("\n};\n")
}

func main() {
	fmt.Printf(`/* utf8_tables.h — which code points are printable, letters, digits.
 *
 * What        Sorted, disjoint ranges of Unicode %s, made by tools/unicode_tables.go.
 * Invariants  none
 * Ownership   none
 * Threads     const
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_UTF8_TABLES_H
#define EPI_BASE_UTF8_TABLES_H

#include "base/defs.h"

struct rune_range { uint32_t lo, hi; };

`, unicode.Version)
	table("rune_print", unicode.IsPrint)
	fmt.Println()
	table("rune_letter", unicode.IsLetter)
	fmt.Println()
	table("rune_digit", unicode.IsDigit)
	fmt.Print("\n#endif\n")
}
