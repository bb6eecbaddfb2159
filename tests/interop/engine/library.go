// Package engine asks our engine what the module asks its own. The engine is a shared library (engine.c) that is opened at run time: EPI_ENGINE is its path.
package engine

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include "../library/engine.h"

static struct interop *(*fn_open)(const char *, char **);
static char *(*fn_ask)(struct interop *, const char *);
static void (*fn_close)(struct interop *);
static void (*fn_free)(char *);

static const char *load(const char *path)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib) return dlerror();
	fn_open = dlsym(lib, "interop_open");
	fn_ask = dlsym(lib, "interop_ask");
	fn_close = dlsym(lib, "interop_close");
	fn_free = dlsym(lib, "interop_free");
	return fn_open && fn_ask && fn_close && fn_free ? NULL : "a function is missing";
}
static struct interop *call_open(const char *options, char **why) { return fn_open(options, why); }
static char *call_ask(struct interop *i, const char *question) { return fn_ask(i, question); }
static void call_close(struct interop *i) { fn_close(i); }
static void call_free(char *text) { fn_free(text); }
*/
import "C"

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"unsafe"
)

var load = sync.OnceValue(func() error {
	path := C.CString(os.Getenv("EPI_ENGINE"))
	defer C.free(unsafe.Pointer(path))
	if why := C.load(path); why != nil {
		return errors.New("EPI_ENGINE: " + C.GoString(why))
	}
	return nil
})

// Options are those of a folder's opening; see engine.h.
type Options struct {
	Dir                string `json:"dir"`
	RangeMs            int64  `json:"range_ms"` // of a block of the head
	MaxSamples         int    `json:"max_samples"`
	TimeoutMs          int64  `json:"timeout_ms"`
	DelayedNameRemoval bool   `json:"delayed_name_removal"`
	StartTimestamps    bool   `json:"start_timestamps"`
	TypeAndUnit        bool   `json:"type_and_unit"`
	XOR2               bool   `json:"xor2"`
	LateMs             int64  `json:"late_ms"`    // how much late a sample may be
	KeptBytes          int64  `json:"kept_bytes"` // of answers
}

// Folder is a data folder that our code has opened.
type Folder struct{ i *C.struct_interop }

// Open opens a folder as it is now.
func Open(o Options) (*Folder, error) {
	if err := load(); err != nil {
		return nil, err
	}
	said, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	options := C.CString(string(said))
	defer C.free(unsafe.Pointer(options))
	var why *C.char
	i := C.call_open(options, &why)
	if i == nil {
		defer C.call_free(why)
		return nil, errors.New(C.GoString(why))
	}
	return &Folder{i}, nil
}

// Close ends it; the folder is as it was.
func (f *Folder) Close() { C.call_close(f.i) }

// ask sends a question as JSON and reads the answer into out.
func (f *Folder) ask(question, out any) error {
	said, err := json.Marshal(question)
	if err != nil {
		return err
	}
	q := C.CString(string(said))
	defer C.free(unsafe.Pointer(q))
	a := C.call_ask(f.i, q)
	defer C.call_free(a)
	return json.Unmarshal([]byte(C.GoString(a)), out)
}
