"""Small bad trees, each of which must yield exactly the findings named."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tree import TreeTest

LAYERS = '''# rooms
base:
io: base
wal: base io
wal/record: base
block: base
block/*_codec: base
promql: base io/pool
cmd: *
'''


class Layers(TreeTest):
    tool = 'layers'
    base = {
        'LAYERS': LAYERS,
        'tools/layers.system': 'pthread.h: io base/lock\ncurl/*.h: io/http_client\nfcntl.h: io\n',
        'src/base/err.h': 'int err;\n',
        'src/io/file.h': '#include "base/err.h"\n',
        'src/io/pool.h': '#include <pthread.h>\n',
        'include/epimetheus/db.h': '#include <stdint.h>\n',
    }

    def test_a_good_tree(self):
        self.expect({
            'src/wal/record.c': '#include "wal/record.h"\n#include "base/err.h"\n',
            'src/wal/record.h': '',
            'src/wal/record_test.c': '#include "wal/record.h"\n#include "io/file.h"\n#include "base/test.h"\n',
            'src/base/test.h': '',
            'src/base/lock.h': '#include <pthread.h>\n',
            'src/promql/run.c': '#include "io/pool.h"\n#include <stdio.h>\n',
            'src/cmd/main.c': '#include "wal/record.h"\n#include "epimetheus/db.h"\n',
        }, [])

    def test_a_room_looks_up(self):
        self.expect({'src/io/file.c': '\n#include "wal/wal.h"\n', 'src/wal/wal.h': ''},
                    ['src/io/file.c:2: io/file may not include wal/wal.h (LAYERS: "io: base")'])

    def test_the_longest_line_counts(self):
        self.expect({'src/wal/record.c': '#include "io/file.h"\n#include "wal/wal.h"\n', 'src/wal/wal.h': '#include "io/file.h"\n'},
                    ['src/wal/record.c:1: wal/record may not include io/file.h (LAYERS: "wal/record: base")',
                     'src/wal/record.c:2: wal/record may not include wal/wal.h'])

    def test_a_pattern_of_modules(self):
        self.expect({'src/block/index_codec.c': '#include "block/meta_codec.h"\n#include "block/block.h"\n',
                     'src/block/meta_codec.h': '', 'src/block/block.h': ''},
                    ['src/block/index_codec.c:2: block/index_codec may not include block/block.h'])

    def test_one_module_of_a_room_is_not_the_room(self):
        self.expect({'src/promql/run.c': '#include "io/pool.h"\n#include "io/file.h"\n'},
                    ['src/promql/run.c:2: promql/run may not include io/file.h'])

    def test_layers_out_of_order(self):
        self.expect({'LAYERS': 'base:\nio: base wal\nwal: base io\n'}, ['LAYERS:2: io names wal, which is not above it'])

    def test_a_room_without_a_line(self):
        self.expect({'src/attic/x.c': '#include "base/err.h"\n'}, ['src/attic/x.c:1: no line of LAYERS matches attic/x'])

    def test_not_a_path_from_src(self):
        self.expect({'src/io/file.c': '#include "file.h"\n'}, ['src/io/file.c:1: "file.h" is no path from src/'])

    def test_headers_in_a_ring(self):
        self.expect({'src/io/a.h': '#include "io/b.h"\n', 'src/io/b.h': '\n#include "io/c.h"\n', 'src/io/c.h': '#include "io/a.h"\n'},
                    ['src/io/c.h:1: headers include each other: src/io/a.h -> src/io/b.h -> src/io/c.h -> src/io/a.h'],
                    '--no-compile')

    def test_a_header_that_needs_another(self):
        self.expect({'src/io/x.h': 'static inline size_t f(void) { return 0; }\n'}, ['src/io/x.h:1: does not compile alone: '])

    def test_a_header_without_a_guard(self):
        self.expect({'src/io/x.h': 'struct s { int a; };\n'}, ['src/io/x.h:1: does not compile alone: '])

    def test_system_headers(self):
        self.expect({'src/wal/w.c': '#include <fcntl.h>\n#include <stdint.h>\n', 'src/io/file.c': '#include <curl/curl.h>\n',
                     'src/io/http_client.c': '#include <curl/curl.h>\n', 'src/base/x.c': '#include <pthread.h>\n'},
                    ['src/base/x.c:1: <pthread.h> belongs to base/lock io alone',
                     'src/io/file.c:1: <curl/curl.h> belongs to io/http_client alone',
                     'src/wal/w.c:1: <fcntl.h> belongs to io alone'])

    def test_the_test_header_in_the_product(self):
        self.expect({'src/base/test.h': '', 'src/wal/w.c': '#include "base/test.h"\n'},
                    ['src/wal/w.c:1: only tests include base/test.h'])

    def test_a_public_header_that_shows_the_inside(self):
        self.expect({'include/epimetheus/x.h': '#include "base/err.h"\n#include "epimetheus/db.h"\n'},
                    ['include/epimetheus/x.h:1: a public header may not include base/err.h'])


if __name__ == '__main__':
    unittest.main()
