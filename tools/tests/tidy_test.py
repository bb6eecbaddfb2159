"""Small bad trees, each of which must yield exactly the findings named."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tree import TreeTest

ESSAY = '''/* x.h — a thing.
 *
 * What        a thing
 * Invariants  none
 * Ownership   none
 * Threads     none
 * Errors      none
 * Format      none
 */
'''


class Tidy(TreeTest):
    tool = 'tidy'
    base = {
        'src/io/file.c': '#include "io/file.h"\nint f(void)\n{\n    return open("x", 0);    /* malloc( */\n}\n',
        'src/io/file.h': ESSAY + 'int f(void);\n',
        'src/io/file_test.c': '#include "io/file.h"\n',
        'src/io/meson.build': "lib_src += files('file.c')\nunit_tests += {'io': files('file_test.c')}\n",
    }

    def test_a_good_tree(self):
        self.expect({}, [])

    def test_calls_of_other_rooms(self):
        self.expect({'src/io/file_test.c': 'void g(void)\n{\n    free(malloc(1));\n    x->free(2); y.time(3); my_free(4);\n    char *s = "free(1)";\n}\n'},
                    ['src/io/file_test.c:3: calls: free() belongs to base/mem', 'src/io/file_test.c:3: calls: malloc() belongs to base/mem'])

    def test_calls_that_are_banned(self):
        self.expect({'src/io/file_test.c': 'int g(void) { return atoi("1"); }\n'}, ['src/io/file_test.c:1: calls: atoi() is banned'])

    def test_a_function_of_the_same_name(self):
        self.expect({'src/io/file_test.c': 'static int bind_all(int a);\nstatic int rand(int a)\n{\n    return rand(a);\n}\n'}, [])

    def test_columns(self):
        self.expect({'src/io/file_test.c': '/* %s */\n' % ('x' * 94) + '/* %s */\n' % ('x' * 95)},
                    ['src/io/file_test.c:2: columns: 101 columns'])

    def test_functions(self):
        def body(name, n):
            return 'static void %s(int a,\n    int b)\n{\n%s}\n' % (name, '    a();\n' * n)
        self.expect({'src/io/file_test.c': body('short_one', 70) + body('long_one', 71) + 'TEST(case_a)\n{\n%s}\n' % ('\n' * 80)},
                    ['src/io/file_test.c:77: functions: long_one has 71 lines', 'src/io/file_test.c:151: functions: case_a has 80 lines'])

    def test_a_long_file(self):
        self.expect({'src/io/file_test.c': 'int a;\n' * 1001}, ['src/io/file_test.c:1001: files: 1001 lines'])

    def test_a_module_without_a_test(self):
        self.expect({'src/io/dir.c': 'int d;\n', 'src/io/dir.h': ESSAY, 'src/io/part.c': '#include "io/dir.h"\nint p;\n',
                     'src/io/meson.build': "files('file.c', 'file_test.c', 'dir.c', 'part.c')\n"},
                    ['src/io/dir.c:1: tests: no dir_test.c beside it'])

    def test_a_decoder_without_a_fuzz_target(self):
        self.expect({'tools/tidy.decoders': 'io/file\nwal/none\n'}, ['src/io/file.c:1: fuzz: a decoder without a fuzz target'])

    def test_orphans(self):
        self.expect({'src/io/lost.h': ESSAY, 'src/io/lost_test.c': 'int x;\n'},
                    ['src/io/lost.h:1: orphans: nobody includes it', 'src/io/lost_test.c:1: orphans: no meson.build names it'])

    def test_headings(self):
        self.expect({'src/io/file.h': ESSAY.replace(' * Threads     none\n', '') + 'int f(void);\n'},
                    ['src/io/file.h:1: headings: the header does not say: Threads'])

    def test_paths(self):
        where = '/ro' + 'ot/x'
        self.expect({'docs/a.md': 'fine\nsee %s\n' % where}, ['docs/a.md:2: paths: a path of somebody\'s machine'])

    def test_exceptions(self):
        long = {'src/io/file_test.c': 'void g(void)\n{\n%s}\n' % ('\n' * 71)}
        self.expect({**long, 'tools/tidy.exceptions': 'functions src/io/file_test.c:g a table\n'}, [])

    def test_an_exception_says_why(self):
        self.expect({'tools/tidy.exceptions': 'functions src/io/file_test.c:g\n'}, ['tools/tidy.exceptions:1: files: an exception says why'])

    def test_an_exception_is_of_one_rule(self):
        long = {'src/io/file_test.c': 'void g(void)\n{\n%s}\n' % ('\n' * 71)}
        self.expect({**long, 'tools/tidy.exceptions': 'files src/io/file_test.c:g a table\n'},
                    ['src/io/file_test.c:2: functions: g has 71 lines'])


if __name__ == '__main__':
    unittest.main()
