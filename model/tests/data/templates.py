"""Regenerates templates.json (pip install jinja2): what Jinja makes of many small templates in the environment that
transformers' `apply_chat_template` sets up.

    python model/tests/data/templates.py

Each template is given `messages`, `tools` (any data, here), `add_generation_prompt`, `bos_token` and `eos_token`. A case
has the text, or none where Jinja fails.
"""
import datetime, json, pathlib, sys
import jinja2, jinja2.ext, jinja2.nodes, jinja2.sandbox

here = pathlib.Path(__file__).parent


class Generation(jinja2.ext.Extension):
    """transformers' `{% generation %}`, which remembers where the assistant speaks: a block that is called."""
    tags = {'generation'}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(['name:endgeneration'], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method('_spoken'), [], [], body).set_lineno(line)

    def _spoken(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


env = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
env.filters['tojson'] = tojson
env.globals['raise_exception'] = raise_exception
env.globals['strftime_now'] = lambda format: datetime.datetime.now().strftime(format)

MESSAGES = [
    {'role': 'system', 'content': 'Be brief.'},
    {'role': 'user', 'content': ' Hi <b>&amp;\n '},
    {'role': 'assistant', 'content': '<think>\nLet me see.\n</think>\n\nHello, Wörld!'},
]
TOOLS = {
    's': 'The quick brown fox', 'empty': '', 'uni': 'Straße ÀÉ ﬁ 中文 👩 ǆ', 'lines': 'a\nb\r\nc\n\nd', 'spaced': '  a\t b \n',
    'n': 42, 'neg': -7, 'big': 12345678901234567890, 'f': 1.5, 'tiny': 1e-07, 'huge': 1e22, 'whole': 3.0, 'third': 0.1,
    't': True, 'no': False, 'null': None,
    'l': [3, 1, 2], 'words': ['b', 'A', 'c', 'a'], 'mixed': [1, 'a', None, True, 2.5, [1], {'k': 'v'}],
    'd': {'z': 1, 'a': 2, 'm': {'y': [1, 2], 'x': None}}, 'none': [], 'nothing': {},
    'people': [{'name': 'Ann', 'age': 30, 'city': 'X'}, {'name': 'bob', 'age': 25, 'city': 'Y'}, {'name': 'Cy', 'age': 30, 'city': 'X'}],
    'function': {'type': 'function', 'function': {'name': 'get_weather', 'description': 'Weather "now" <here> & \'there\' \\ é',
        'parameters': {'type': 'object', 'properties': {'city': {'type': 'string', 'enum': ['a', 'b']}}, 'required': ['city']}}},
    'items': 'shadow', 'keyed': {'items': 1, 'keys': 2, 'get': 3, 'values': 4},
    'quotes': 'it\'s', 'both': 'a\'b"c', 'ctl': 'a\x00\x1b\x7f\u2028\u00ad\\', 'args': {'a': 1, 'b': [True, None], 'c': 'x'},
}

# Expressions, each as {{ expression }}.
EXPRESSIONS = r'''
# Literals and how they are written
1
-1
+1
1_000
0x1f
0b101
0o17
1.0
1.50
1e3
1E-7
1.5e300
1e16
1e15
123456789.125
0.1+0.2
1/3
2/1
100000000000000000000
2**100
true
True
false
none
None
'a'
"a"
'a\nb'
'a\tb\\c'
'\x41\u00e9\'\"'
'a' 'b'
[]
[1]
[1, 'a', none, true, 2.5]
[1, 'a',]
()
(1,)
(1, 2)
1, 2
{}
{'a': 1}
{'a': 1, 'b': [1, {'c': none}]}
{1: 'a', none: 2, true: 3}
['it\'s', "a\"b", 'a\'b"c', 'a\nb\\']
tools.mixed
tools.d
tools.uni
[tools.uni, tools.ctl]
tools.ctl
[tools.both, tools.quotes]
tools.args
tools.function
tools.huge
tools.tiny
tools.whole
tools.third
tools.big
tools.big + 1
[1.0, 1e22, 1e-7, 0.1]
tools.null
undefined_name
undefined_name.x
undefined_name['x']
[undefined_name]
tools.missing
tools.missing.more
tools['s']
tools['missing']
messages[0]
messages[-1].role
messages[3]
messages[99]
messages[99].role
'abc'[0]
'abc'[-1]
'abc'[3]
'abc'.0
messages.0.role
tools.l.0
tools.l[0]
tools.l['0']
tools.d['z']
tools.d.z
tools.items
tools.keyed.items
tools.keyed['items']
tools.keyed.keys
tools.keyed.get('values')
tools.d.keys
# Arithmetic
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
-7 // -2
7.5 // 2
-7.5 // 2
7 % 3
-7 % 3
7 % -3
-7 % -3
7.5 % 2
-7.5 % 2
7.5 % -2
7 / 2
6 / 2
1 / 0
1 // 0
1 % 0
1.0 / 0
2 ** 3
2 ** -1
2 ** 0.5
(-2) ** 2
-2 ** 2
2 ** 3 ** 2
- 3
--3
+ 3
-tools.n
tools.n - 1
tools.n-1
tools.f * 2
tools.n * 1.0
true + 1
true + true
1 + none
1 + 'a'
'a' + 1
'a' + 'b'
'a' * 3
3 * 'a'
'a' * -1
'a' * 0
'a' * 1.5
[1] * 3
2 * [1, 2]
[1] + [2]
[1] + 'a'
(1,) + (2,)
[1] + (2,)
(1,) * 2
{} + {}
'a' - 'b'
10 - 3 - 2
100 / 10 / 2
2 * 3 % 4
1 + undefined_name
'a' + undefined_name
undefined_name + 'a'
undefined_name * 2
- undefined_name
tools.missing + 1
# Joining with ~
'a' ~ 1
1 ~ 2
'a' ~ none
'a' ~ true
'a' ~ 1.0
'a' ~ [1, 'b']
'a' ~ {'k': 'v'}
'a' ~ undefined_name ~ 'b'
1 + 2 ~ 3 + 4
1 ~ 2 * 3
'a' ~ 'b' ~ 'c' ~ 'd'
'a' ~ 1e22
'a' ~ ('b', 1)
# Comparison and logic
1 == 1.0
1 == true
1 == '1'
'a' == "a"
none == none
none == false
[] == false
[1, 2] == [1, 2]
(1, 2) == (1, 2)
[1, 2] == (1, 2)
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
tools.l == [3, 1, 2]
undefined_name == none
undefined_name == undefined_name
undefined_name == ''
undefined_name is none
1 != 2
1 < 2
1 < 2 < 3
3 > 2 > 2
1 < 2 == true
'a' < 'b'
'a' < 'B'
[1, 2] < [1, 3]
1 < 'a'
'a' > 1
none < 1
true < 2
1 < 1.5
1 in [1, 2]
1.0 in [1, 2]
'a' in 'abc'
'' in 'abc'
'z' not in 'abc'
1 in 'abc'
'a' in {'a': 1}
1 in {'a': 1}
'z' in tools.d
'z' in tools.d.keys()
1 in tools.d.values()
none in [none]
'x' in none
'x' in undefined_name
'x' in 5
not 'x' in ['x']
true and 1
1 and 0
0 or 'a'
'' or none
none or undefined_name
[] or {} or 'x'
not 1
not ''
not none
not undefined_name
not []
not {}
not 0.0
not not 1
1 if true
1 if false
1 if false else 2
1 if 0 else 2 if 0 else 3
'a' if undefined_name else 'b'
'a' if tools.s is defined and tools.s else 'b'
(1 if false) ~ 'x'
(1 if false) is defined
1 == 1 and 2 == 2
not true == false
# Tests
1 is defined
x is defined
x is undefined
x is not defined
none is none
x is none
1 is number
1.5 is number
true is number
'1' is number
1 is integer
true is integer
1.0 is integer
1.0 is float
1 is float
true is boolean
1 is boolean
'a' is string
1 is string
none is string
[] is sequence
() is sequence
{} is sequence
'a' is sequence
1 is sequence
none is sequence
x is sequence
[] is iterable
'a' is iterable
{} is iterable
1 is iterable
none is iterable
x is iterable
range(3) is iterable
range(3) is sequence
{} is mapping
[] is mapping
tools is mapping
tools.d.items() is iterable
tools.d.items() is sequence
tools.d.items() is mapping
1 is callable
range is callable
'a'.upper is callable
3 is odd
3 is even
4 is divisibleby 2
4 is divisibleby(3)
'abc' is lower
'ABC' is upper
'aB' is lower
'123' is upper
'' is lower
1 is eq 1
1 is equalto 1
1 is ne 2
1 is lt 2
1 is lessthan 2
1 is gt 0
1 is greaterthan 0
1 is ge 1
1 is le 1
1 is sameas 1
none is sameas none
true is sameas true
true is sameas 1
1 is in [1]
'a' is in 'abc'
true is true
1 is true
false is false
0 is false
'upper' is filter
'nothing' is filter
'defined' is test
'nothing' is test
'a' is escaped
('a'|safe) is escaped
1 is not string
1 is string or true
not 1 is string
'a' is startingwith 'a'
'a' is nothing
1 is defined is defined
# Methods of strings
tools.s.upper()
tools.s.lower()
tools.s.title()
tools.s.capitalize()
tools.s.swapcase()
tools.uni.upper()
tools.uni.lower()
tools.uni.title()
tools.uni.capitalize()
tools.uni.swapcase()
tools.uni.casefold()
tools.uni|length
"they're bill's".title()
'a1b2 c3'.title()
'hELLO wORLD'.capitalize()
''.capitalize()
' a b '.strip()
' a b '.lstrip()
' a b '.rstrip()
'xxaxx'.strip('x')
'xyaxy'.strip('yx')
'xxaxx'.lstrip('x')
'xxaxx'.rstrip('x')
'\n\na\n'.strip('\n')
'\x1f\x1ea\x85'.strip() ~ '|'
'a'.strip(none)
'a'.strip(1)
'a b c'.split()
' a  b c '.split()
'a b c'.split(' ')
' a  b '.split(' ')
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.split(',', maxsplit=1)
'a b  c'.split(none, 1)
'a b  c '.split(maxsplit=1)
'a,b,c'.split(sep=',')
'a,b'.split(',', -1)
'a,b'.split(',', 0)
''.split()
''.split(',')
'a'.split('')
'a'.split(1)
'a</think>b</think>c'.split('</think>')[-1]
'a</think>b</think>c'.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')
'a,b,c'.rsplit(',', 1)
'a,b,c'.rsplit(',')
'a b  c'.rsplit()
' a b  c '.rsplit(none, 1)
'a,b,c'.rsplit(',', maxsplit=1)
'a,b'.rsplit('')
'a\x1fb'.split()
'k=v=w'.partition('=')
'k=v=w'.rpartition('=')
'kv'.partition('=')
'kv'.rpartition('=')
'kv'.partition('')
('k=v'.partition('='))[2]
'k=v'.partition('=') is sequence
'<a>'.removeprefix('<')
'<a>'.removesuffix('>')
'<a>'.removeprefix('x')
'aa'.removeprefix('a')
'abc'.removeprefix('')
'abcabc'.replace('b', 'X')
'abcabc'.replace('b', 'X', 1)
'abcabc'.replace('b', '')
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
'abc'.replace('b', 1)
'abc'.replace('b', 'x', 0)
'abc'.replace('b', 'x', -1)
'abc'.find('c')
'abc'.find('z')
'äbc'.find('c')
'äbcäbc'.rfind('c')
'abcabc'.find('a', 1)
'abcabc'.find('a', 1, 3)
'abcabc'.find('c', -3)
'abcabc'.rfind('a', 0, 3)
'abc'.find('')
'abc'.index('c')
'abc'.index('z')
'äbc'.rindex('c')
'abc'.rindex('z')
'abcabc'.count('a')
'aaaa'.count('aa')
'abc'.count('')
'abcabc'.count('a', 1)
'abc'.startswith('a')
'abc'.startswith('b')
'abc'.startswith('b', 1)
'abc'.startswith(('x', 'a'))
'abc'.startswith(['x', 'a'])
'abc'.startswith('')
'abc'.startswith(1)
'abc'.endswith('c')
'abc'.endswith(('x', 'c'))
'abc'.endswith('b', 0, 2)
', '.join(['a', 'b'])
', '.join('abc')
', '.join([1, 2])
''.join([])
', '.join({'a': 1, 'b': 2})
', '.join(('a', 'b'))
','.join(tools.d.keys())
','.join(none)
'a\nb\r\nc\n\nd'.splitlines()
'a\nb\r\nc\n\nd\n'.splitlines(true)
'a\x0bb\x0cc\x1cd\u2028e\x85f'.splitlines()
'a\rb'.splitlines(keepends=true)
''.splitlines()
'\n'.splitlines()
'abc'.isalpha()
'ab1'.isalpha()
''.isalpha()
'ab1'.isalnum()
''.isalnum()
'123'.isdigit()
'²'.isdigit()
'½'.isdigit()
'½'.isnumeric()
'123'.isdecimal()
'²'.isdecimal()
''.isdigit()
'abc'.islower()
'aBc'.islower()
'a1'.islower()
'1'.islower()
''.islower()
'ABC'.isupper()
'A1'.isupper()
'1'.isupper()
' \t\n'.isspace()
''.isspace()
'A Title'.istitle()
'A title'.istitle()
'abc'.isascii()
'ä'.isascii()
''.isascii()
'abc'.isidentifier()
'1a'.isidentifier()
'abc'.isprintable()
'a\n'.isprintable()
'a'.center(5) ~ '|'
'a'.center(4, '*')
'ab'.center(5, '*')
'a'.ljust(4, '*')
'a'.rjust(4, '*')
'a'.ljust(4) ~ '|'
'42'.zfill(5)
'-42'.zfill(5)
'+4'.zfill(4)
'a\tb'.expandtabs(4)
'a\tb'.expandtabs()
'{} and {}'.format(1, 'b')
'{0} {1} {0}'.format('a', 'b')
'{name} is {age}'.format(name='x', age=3)
'{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c')
'{:05d}'.format(42)
'{:.2f}'.format(3.14159)
'{:,}'.format(1234567)
'{:x} {:X} {:o} {:b}'.format(255, 255, 8, 5)
'{!r}'.format('a')
'{{}}'.format()
'{a[x]}'.format(a={'x': 1})
'{a.x}'.format(a={'x': 1})
'{} {}'.format(1)
'{x}'.format()
'{:*^9}'.format('a')
'{:+d}'.format(3)
'{:%}'.format(0.5)
'{:e}'.format(12345.678)
'{:g}'.format(0.00001)
'{:10.3f}|'.format(2.5)
'{}'.format(none)
'{}'.format(true)
'{}'.format([1, 'a'])
'{}'.format(1e22)
'{:>{w}}'.format('a', w=4)
'abc'.encode()
'abc'.translate({})
'abc'.nothing()
'abc'.nothing
'abc'.__class__
'abc'.__len__()
''.__class__.__mro__
'abc'.upper
'ab'.upper().lower().title()
# % formatting
'%s' % 'a'
'%s' % 1
'%s and %s' % (1, 'b')
'%s' % none
'%s' % true
'%s' % [1, 'a']
'%s' % [[1, 2]]
'%s' % (1,)
'%s' % ((1, 2),)
'%s %s' % [1, 2]
'%s' % {'a': 1}
'%(a)s' % {'a': 1}
'%(a)s %(b)05.1f' % {'a': 'x', 'b': 2.25}
'%(a)s' % {'b': 1}
'%d' % 42
'%d' % 3.7
'%d' % -3.7
'%d' % true
'%d' % 'a'
'%i' % 42
'%5d|' % 42
'%-5d|' % 42
'%05d' % 42
'%+d' % 42
'% d' % 42
'%05d' % -42
'%x %X %o' % (255, 255, 8)
'%#x %#o' % (255, 8)
'%x' % -255
'%f' % 1.5
'%.2f' % 3.14159
'%.0f' % 2.5
'%.0f' % 3.5
'%8.3f|' % 3.14159
'%-8.3f|' % 3.14159
'%+.1f' % 1.25
'%e' % 12345.678
'%E' % 0.00012
'%.2e' % 0
'%g' % 0.00001
'%g' % 123456789.0
'%g' % 100000
'%g' % 1.5
'%G' % 1e-10
'%#g' % 1.5
'%r' % 'a'
'%r' % "it's"
'%a' % 'é'
'%c' % 'a'
'%c' % 97
'%c' % 'ab'
'%%'  % ()
'100%%' % ()
'%' % ()
'%s%%' % 5
'%.3s|' % 'abcdef'
'%10s|' % 'abc'
'%-10s|' % 'abc'
'%*d' % (5, 42)
'%.*f' % (2, 3.14159)
'%s' % ()
'%s %s' % (1,)
'%s' % (1, 2)
'a' % ()
'a' % 1
'a' % 'b'
'a' % {'b': 1}
'a' % [1]
'%z' % 1
'%s' % undefined_name
'%d' % undefined_name
'%ld' % 3
'%s' % 'a' ~ 'b'
'%s' % 'a' + 'b'
'%s' % 'a' | upper
'%s' % tools.n * 2
('%s' % 1) + 'x'
'x' + '%s' % 1
'%s' ~ 1 % 2
'a%sb' % 'x' if true else 'c'
'%s-%s' % (messages[0].role, messages|length)
tools.s % ()
'%s' % tools.f
'%s' % 1e22
'%d' % 12345678901234567890
'%s: %s' % ('a', {'k': [1, none]})
'%s'|format('a')
'%s and %d'|format('a', 3)
'%(x)s'|format(x=1)
'%s'|format
# Lists
tools.l.count(1)
tools.l.index(2)
tools.l.index(9)
tools.l.append(1)
tools.l.copy()
tools.l.sort()
tools.l.pop()
tools.l.reverse()
[1, 2, 3][0]
[1, 2, 3][-1]
[1, 2, 3][5]
[1, 2, 3][1:]
[1, 2, 3][:1]
[1, 2, 3][::-1]
[1, 2, 3][-2:]
[1, 2, 3][:-1]
[1, 2, 3][10:]
[1, 2, 3][-10:2]
[1, 2, 3, 4, 5][::2]
[1, 2, 3, 4, 5][4:1:-1]
[1, 2, 3, 4, 5][4:0:-2]
[1, 2, 3, 4, 5][-1:-4:-1]
[1, 2, 3, 4, 5][1:2:-1]
[1, 2, 3, 4, 5][:2:-1]
[1, 2, 3, 4, 5][2::-1]
[1, 2, 3][::0]
(1, 2, 3)[1:]
(1, 2, 3)[::-1]
'hello'[1:3]
'hello'[::-1]
'hello'[-3:]
'hello'[:-1]
'hello'[4:1:-1]
'hello'[10:]
'héllo'[1:3]
messages[1:]|length
messages[::-1][0].role
messages[1:][0].role
messages[:0]
tools.l[1:] + [9]
tools.l[1:] is sequence
tools.l[1:][0]
tools.null[1:]
undefined_name[1:]
tools.d[1:]
5[1:]
(1, 2).count(1)
(1, 2).index(2)
# Dicts
tools.d.keys()
tools.d.values()
tools.d.items()
tools.d.keys()|list
tools.d.values()|list
tools.d.items()|list
tools.d|items|list
tools.d.get('z')
tools.d.get('q')
tools.d.get('q', 'dflt')
tools.d.get('q', default=1)
tools.d.get('m').get('y')[0]
tools.d.get()
tools.d.pop('z')
tools.d.update({'q': 1})
tools.d.setdefault('q', 1)
tools.d.copy()
tools.d.clear()
tools.d.has_key('z')
tools.d.keys()|length
tools.d.items()|length
tools.d.keys()|first
tools.d.items()|first
tools.d.keys()[0]
tools.d.nothing()
tools.d|length
tools.d|list
tools.d|first
tools.d|last
tools.d|join(',')
tools.d|dictsort
tools.d.m|dictsort|tojson
tools.keyed|dictsort(by='value')
tools.keyed|dictsort(by='value', reverse=true)
tools.keyed|dictsort(false, 'key', true)
dict(a=1, b=2)
dict({'a': 1}, b=2)
dict([('a', 1), ('b', 2)])
dict()
dict(tools.d, z=9)
{'a': 1}['a']
{'a': 1}['b']
{'a': 1}.a
{1: 'x'}[1]
{1: 'x'}[1.0]
{true: 'x'}[1]
{'a': 1, 'a': 2}
{[1]: 2}
# Filters
-5|abs
-5.5|abs
'a'|abs
tools.people|map(attribute='name')|list
tools.people|map(attribute='name')|join(', ')
tools.people|map(attribute='missing')|list
tools.people|map(attribute='missing', default='-')|list
tools.words|map('upper')|list
tools.words|map('replace', 'a', 'z')|list
tools.words|map('upper')
tools.people|selectattr('age', 'equalto', 30)|map(attribute='name')|list
tools.people|selectattr('age', '==', 30)|list|length
tools.people|selectattr('age', 'gt', 26)|list|length
tools.people|selectattr('missing')|list
tools.people|selectattr('missing', 'defined')|list
tools.people|rejectattr('age', 'eq', 30)|map(attribute='name')|first
tools.people|rejectattr('missing', 'defined')|list|length
messages|selectattr('role', 'eq', 'user')|list|length
messages|selectattr('role', 'in', ['user', 'assistant'])|map(attribute='role')|list
messages|rejectattr('role', 'equalto', 'system')|list|first|attr('role')
(messages|rejectattr('role', 'equalto', 'system')|list)[0].role
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
[1, 2, 3, 4]|select('even')|list
[1, 2, 3, 4]|reject('even')|list
[1, 2, 3, 4]|select('divisibleby', 3)|list
[1, 2, 3, 4]|select('gt', 2)|list
[1, 'a']|select('string')|list
[1, 2]|select('nothing')|list
tools.people|groupby('age')|list|length
tools.people|groupby('city')|map('first')|list
tools.people|sum(attribute='age')
[1, 2, 3]|sum
[1.5, 2]|sum
[]|sum
[1, 2]|sum(start=10)
['a']|sum
[[1], [2]]|sum(start=[])
'abc'|first
'abc'|last
[]|first
[]|last
''|first
[1, 2]|first
[1, 2]|last
(1, 2)|first
'abc'|length
'äé👩'|length
[1, 2]|length
{}|length
[1, 2]|count
none|length
undefined_name|length
5|length
undefined_name|default('x')
none|default('x')
''|default('x')
''|default('x', true)
none|default('x', true)
none|default('x', boolean=true)
undefined_name|d('y')
undefined_name|default
undefined_name.x|default('y')
tools.missing|default({})|length
tools.missing.more|default('deep')
'abc'|upper
'ABC'|lower
'abc def'|title
"they're bill's"|title
'foo-bar (baz)'|title
'aBC dEF'|capitalize
1|upper
none|upper
true|lower
[1, 'A']|lower
' a '|trim
'xax'|trim('x')
' \n a\t'|trim
1|trim
none|trim
'abc'|replace('b', 'x')
'abcb'|replace('b', 'x', 1)
'abc'|replace('', '-')
1|replace('1', 'x')
'abc'|replace('b', 1)
[1, 2]|join
[1, 2]|join(', ')
[1, none, true, 2.0, 'x']|join('|')
[[1, 'a'], {'b': 1}]|join(' ')
'abc'|join('-')
none|join(',')
undefined_name|join(',')
tools.people|join(',', attribute='name')
tools.people|join(',', 'name')
[1, 2, 3]|join(d=', ')
[3, 1, 2]|sort
[3, 1, 2]|sort(reverse=true)
['b', 'A', 'c']|sort
['b', 'A', 'c']|sort(case_sensitive=true)
['b', 'B', 'a', 'A']|sort
tools.people|sort(attribute='age')|map(attribute='name')|list
tools.people|sort(attribute='age,name')|map(attribute='name')|list
tools.people|sort(attribute='age', reverse=true)|map(attribute='name')|list
[1, 'a']|sort
[true, 0]|sort
[1.5, 1]|sort
['a', 'b', 'a', 'A']|unique|list
['a', 'A']|unique(case_sensitive=true)|list
[1, 1.0, true, 2]|unique|list
tools.people|unique(attribute='age')|map(attribute='name')|list
[3, 1, 2]|min
[3, 1, 2]|max
['b', 'A']|min
['b', 'A']|max
['b', 'A']|min(case_sensitive=true)
[]|min
[]|max
tools.people|max(attribute='age')
'abc'|reverse
[1, 2, 3]|reverse
[1, 2, 3]|reverse|list
(1, 2)|reverse|list
'abc'|list
{'a': 1}|list
(1, 2)|list
range(3)|list
none|list
undefined_name|list
5|list
1|string
none|string
true|string
1.0|string
[1, 'a']|string
{'a': none}|string
undefined_name|string
1e22|string
'1'|int
'1.9'|int
1.9|int
-1.9|int
'x'|int
'x'|int(7)
'x'|int(default=7)
none|int
true|int
'0x1f'|int(base=16)
'1f'|int(0, 16)
'101'|int(0, 2)
' 12 '|int
'1_000'|int
''|int
'1e3'|int
'1.5'|float
'x'|float
'x'|float(1.5)
3|float
'1e3'|float
'inf'|float
'nan'|float
none|float
true|float
1.5|round
2.5|round
3.5|round
-2.5|round
1.25|round(1)
1.35|round(1)
2.675|round(2)
1234.5|round(-2)
42|round
1.1|round(method='ceil')
1.9|round(method='floor')
1.25|round(1, 'ceil')
1.25|round(1, 'floor')
1|round(1)
'a'|round
'<a href="x">&\''|e
'<a>'|escape
'<a>'|safe
'<a>'|e|e
'<a>'|forceescape
('<'|e) ~ '<'
('<'|e) + '<'
('<'|safe) ~ '<'
['<'|e, '<']|join
'<a>b</a>'|striptags
'a b/c?d=é&'|urlencode
{'a': 'b c', 'd': 1}|urlencode
'a b c'|wordcount
'hello world foo'|truncate(9)
'hello world foo'|truncate(9, true)
'hello world foo'|truncate(9, true, '..')
'hello world foo'|truncate(9, leeway=0)
'hello'|truncate(3)
'hello world'|wordwrap(5)
'a'|center(5) ~ '|'
'ab'|center(5) ~ '|'
'a'|center ~ '|'
'a\nb\n\nc'|indent
'a\nb\n\nc'|indent(2)
'a\nb\n\nc'|indent(2, true)
'a\nb\n\nc'|indent(2, first=true)
'a\nb\n\nc'|indent(2, blank=true)
'a\nb'|indent('> ')
'a\nb'|indent(width='--', first=true)
1|indent
123|filesizeformat
12345678|filesizeformat
12345678|filesizeformat(true)
tools.l|random is number
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3, 4, 5]|batch(2, 'x')|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3, 4, 5]|slice(3)|list
[1, 2, 3, 4, 5]|slice(3, 'x')|list
[1, 2]|batch(0)|list
tools.d|attr('z')
messages[0]|attr('role')
'abc'|attr('upper')
'abc'|pprint
[1, 'a', {'b': none}]|pprint
tools.d|pprint
'a b'|xmlattr
{'class': 'x', 'id': none, 'n': 1}|xmlattr
'see http://x.org/a now'|urlize
'abc'|nothing
'a,b'|split(',')
'a'|lines
'a'|bool
[1]|zip([2])
[1]|chain([2])
tools.l|map('string')|join
tools.l|map('float')|list
tools.l|map('string')|map('int')|sum
tools.people|map(attribute='name')|map('lower')|sort|join(',')
tools.people|tojson
# tojson
tools|tojson
tools.function|tojson
tools.function|tojson(indent=2)
tools.function|tojson(indent=4)
tools.function|tojson(indent=0)
tools.function|tojson(indent=none)
tools.function|tojson(indent='\t')
tools.function|tojson(indent='--')
tools.function|tojson(indent=true)
tools.function|tojson(2)
tools.function|tojson(false, 2)
tools.function|tojson(sort_keys=true)
tools.function|tojson(sort_keys=true, indent=2)
tools.function|tojson(ensure_ascii=true)
tools.function|tojson(ensure_ascii=false)
tools.function|tojson(separators=(',', ':'))
tools.function|tojson(separators=(',', ':'), indent=1)
tools.function|tojson(separators=[';', '='])
tools.uni|tojson(ensure_ascii=true)
tools.ctl|tojson
tools.ctl|tojson(ensure_ascii=true)
tools.mixed|tojson
'<a>&\''|tojson
'a"b\\c/d'|tojson
1|tojson
1.0|tojson
1e22|tojson
1e-7|tojson
0.1|tojson
tools.big|tojson
true|tojson
none|tojson
undefined_name|tojson
[undefined_name]|tojson
[]|tojson
{}|tojson
{}|tojson(indent=2)
[[], {}, [[]]]|tojson(indent=2)
{1: 2, true: 3, none: 4, 1.5: 5}|tojson
{'b': {'d': 1, 'c': 2}, 'a': 3}|tojson(sort_keys=true)
{'z': 1, 'a': 2}|tojson
(1, 2)|tojson
range(3)|tojson
range(3)|list|tojson
tools.d.keys()|tojson
tools.d.items()|list|tojson
tools.words|map('upper')|tojson
tools.d|tojson|length
tools.d|tojson ~ 'x'
tools.d|tojson|upper
('<'|tojson) ~ '<'|e
{'a': 1}|tojson|safe
'\u007f\u0080\u2028'|tojson
'x'|tojson(width=1)
'ab'.upper|tojson
1.0e5|tojson
[1.0, 2.50, 1e16, 1e15, -0.0]|tojson
# Functions
range(5)|list
range(1, 5)|list
range(0, 10, 3)|list
range(5, 0, -2)|list
range(0)|list
range(3)
range(3)[1]
range(3)[-1]
range(3)|length
range(3)|last
range(10)[2:4]|list
range(100001)|length
range(3) == [0, 1, 2]
3 in range(5)
range('a')
range(1.5)
namespace(a=1).a
namespace({'a': 1}, b=2).b
namespace(a=1).b
namespace(a=1)['a']
namespace(a=1)
cycler('a', 'b').next()
joiner(',')()
lipsum is defined
lipsum(n=1) is string
debug is defined
raise_exception('x')
raise_exception()
strftime_now is defined
dict is defined
cycler is defined
joiner is defined
zip is defined
enumerate is defined
len is defined
str is defined
self is defined
caller is defined
loop is defined
varargs is defined
add_generation_prompt
bos_token is defined
unknown_function()
tools.s()
'abc'.upper(1)
'a'.join()
'abc'[1]()
# Precedence and brackets
1 + 2 ~ 'a'
'a' ~ 1 + 2
'a' ~ 2 * 3 ~ 'b'
-1|abs
-1 ** 2
2 * -3
not 1 == 2
not 1 in [2]
1 + 1 if true else 5
'a' if true else 'b' ~ 'c'
('a' if true else 'b') ~ 'c'
1 if 1 == 1 else 2 if 2 == 3 else 4
'a' in 'abc' and 'b' in 'abc'
'a' == 'a' and not 'b' == 'c' or false
1|string + 'a'
1|string ~ 2|string
'a'|upper ~ 'b'|upper
[1, 2]|length + 1
[1, 2]|length > 1
[1, 2]|length == 2 and true
'a'.upper()|lower
'a' 'b'|upper
(1 + 2)|string
-tools.l[0]
tools.l[tools.l|length - 1]
tools.l[1 - 1]
tools['s'|lower]
tools.d['m']['y'][1]
{'a': [1, 2]}['a'][1]
[[1, 2], [3, 4]][1][0]
[1, 2, 3][1:]|length
messages[(messages|length) - 1].role
messages|length - 1
loop.index
(1)
((1))
(1, (2, 3))
[(1, 2), (3, 4)]
{'a': (1, 2)}
a.b.c
a['b']['c']
messages[0]['role'] ~ ': ' ~ messages[0]['content']
messages[0].role == 'system' and messages[0]['content'] is string
(messages[0].content).split(' ')[0]
messages[1].content|trim
messages[2].content.split('</think>')|last|trim
messages[2].content.split('</think>')[0].split('<think>')[1].strip('\n')
'x' if messages[0].tool_calls else 'y'
'x' if messages[0].tool_calls is defined else 'y'
messages[0].get('tool_calls')
messages[0].get('tool_calls', [])|length
# No expressions
1 +
* 2
(1
[1
{'a' 1}
1 2
'abc
a b
if
1 if
not
a.
a[
a[]
a|
a is
@
$
1 = 1
a := 1
a ? b : c
a && b
!a
a || b
lambda x: x
[x for x in y]
f'a'
r'a'
*a
**a
'''

# Whole templates.
TEMPLATES = [
    # Space
    'a\n', 'a\n\n', '\n', '', 'a\r\nb\r\n', ' a ', '{{ 1 }}\n', '{{ 1 }}\n\n', '{{ 1 }} \n', ' {{ 1 }}',
    '{% if true %}\na\n{% endif %}\nb', '  {% if true %}\n  a\n  {% endif %}\n  b', 'x {% if true %} a {% endif %} b',
    '{%- if true -%}  a  {%- endif -%}  b', '  {%+ if true %}a{% endif +%}\nb', 'a  {{- 1 -}}  b', 'a\n\n{{- 1 -}}\n\nb',
    'a {#- c -#} b', '{# c #}\na', '  {# c #}\na', 'a {# c #} b', '{#\n many\n lines #}\nx', '{% raw %}{{ x }}{% endraw %}',
    '{% raw %}\n {{ x }}\n{% endraw %}\nb', '{%- raw -%} a {%- endraw -%} b', '{{ "{{" }}', "{{ '{%' }}", '{{ 1 }}{{ 2 }}',
    '{%if true%}a{%endif%}', '{{1}}', '{{\n1\n}}', '{%\nif true\n%}a{% endif %}', '\t{% if 1 %}a{% endif %}',
    'a\n   {%- if 1 %}\n   b\n   {%- endif %}\n', '{% set x = 1 %}\n{{ x }}', '{% set x = 1 -%}\n  {{ x }}', '{{ x -}}\n {{ y }}',
    '{% for i in [1, 2] %}\n{{ i }}\n{% endfor %}', '{% for i in [1, 2] -%}\n{{ i }}\n{%- endfor %}', '{{- "a" }}', ' {{-"a"-}} ',
    '{{ -1 }}', '{{- -1 }}', '{{ +1 }}', '{{+1}}', 'a{{ "" }}\n\nb', '{{ "a\\n" }}\n', '{{ "\n" }}x', '{% if 1 %}{# c #}{% endif %}\n\n',
    '{# a #}{# b #}\n{# c #}x', 'ü{{ "é" }}中', '{', '}', '{ {', '{}', '}}', '%}', '#}', '{{{ 1 }}}', '{{ {} }}', '{{ {"a": {}} }}', '{{ {"a": 1}.a }}',
    # set
    '{% set x = 1 %}{{ x }}', '{% set x, y = 1, 2 %}{{ x }}{{ y }}', '{% set x = 1, 2 %}{{ x }}', '{% set x %}a{{ 1 }}{% endset %}{{ x }}',
    '{% set x | upper %}ab{% endset %}{{ x }}', '{% set x %}<{% endset %}{{ x|e }}', '{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}',
    '{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}', '{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = x + i %}{{ x }}{% endfor %}',
    '{% if true %}{% set x = 2 %}{% endif %}{{ x }}', '{% if false %}{% set x = 2 %}{% endif %}{{ x }}', '{% set x = [] %}{% set x = x + [1] %}{{ x }}',
    '{% set messages = messages[1:] %}{{ messages|length }}{{ messages[0].role }}', '{% set x = undefined_name %}{{ x is defined }}', '{% set x.y = 1 %}',
    '{% set (x, y) = (1, 2) %}{{ x }}', '{% set x = y = 1 %}', '{% set 1 = 2 %}', '{% set x %}{% endset %}[{{ x }}]', '{% set true = 1 %}', '{% set loop = 1 %}{{ loop }}',
    '{% set x = "a" %}{% set y = x %}{% set x = "b" %}{{ y }}', '{% set x = "a" if false else "b" %}{{ x }}', "{% set x, y = 'ab' %}{{ x }}", '{% set x, y = [1] %}', '{% set x, y = 1 %}',
    # namespace
    '{% set ns = namespace(a=1) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}', '{% set ns = namespace() %}{% set ns.x = 1 %}{{ ns.x }}{{ ns.y }}',
    '{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == "user" %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}',
    '{% set ns = namespace(l=[]) %}{% for i in range(3) %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}', '{% set d = {"a": 1} %}{% set d.a = 2 %}{{ d.a }}',
    '{% set ns = namespace(s="") %}{% for c in "abc" %}{% set ns.s = c ~ ns.s %}{% endfor %}{{ ns.s }}', '{% set ns = namespace(a=1, b=2) %}{% set ns.a, ns.b = ns.b, ns.a %}{{ ns.a }}{{ ns.b }}',
    '{% set ns = namespace(multi_step_tool=true, last=messages|length - 1) %}{% for message in messages[::-1] %}{% set index = (messages|length - 1) - loop.index0 %}{% if ns.multi_step_tool and message.role == "user" %}{% set ns.multi_step_tool = false %}{% set ns.last = index %}{% endif %}{% endfor %}{{ ns.last }}',
    '{% set ns = namespace(a=1) %}{% set ns.a %}x{{ ns.a }}y{% endset %}{{ ns.a }}', '{% set ns = namespace(a=[1]) %}{{ ns.a[0] }}', '{% set ns = namespace() %}{{ ns is defined }}{{ ns is mapping }}',
    # for
    '{% for i in [] %}a{% else %}b{% endfor %}', '{% for i in [1] %}a{% else %}b{% endfor %}', '{% for i in undefined_name %}a{% endfor %}x', '{% for i in none %}a{% endfor %}', '{% for i in 5 %}a{% endfor %}',
    '{% for c in "aé👩" %}{{ c }}.{% endfor %}', '{% for k in tools.d %}{{ k }}{% endfor %}', '{% for k, v in tools.d.items() %}{{ k }}={{ v }};{% endfor %}', '{% for k, v in tools.d|items %}{{ k }}={{ v }};{% endfor %}',
    '{% for k, v in tools.d|dictsort %}{{ k }}={{ v }};{% endfor %}', '{% for v in tools.d.values() %}{{ v }};{% endfor %}', '{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }};{% endfor %}', '{% for a, b in [1] %}{% endfor %}',
    '{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}', '{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}', '{% for i in [1, 2, 3, 4] if i is even %}{{ loop.index }}:{{ i }}{{ "," if not loop.last }}{% endfor %}',
    '{% for i in [1, 2, 3] if i > 5 %}a{% else %}none{% endfor %}', '{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}',
    '{% for i in [1, 2, 3] %}{{ loop.previtem }}-{{ loop.nextitem }};{% endfor %}', '{% for i in [1, 2, 3] %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}', '{% for i in [1, 2, 3] %}{{ loop.cycle("a", "b") }}{% endfor %}',
    '{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}', '{% for i in [1] %}{{ loop.depth }}{{ loop.depth0 }}{% for j in [1] %}{{ loop.depth }}{% endfor %}{% endfor %}', '{% for i in [1, 2] %}{% set o = loop %}{% for j in [1, 2] %}{{ o.index }}{{ loop.index }};{% endfor %}{% endfor %}',
    '{% for i in [1, 2] %}{% for j in [1, 2] %}{{ loop.parent }}{% endfor %}{% endfor %}', '{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}', '{% for i in range(3) %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% else %}none{% endfor %}',
    '{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{% endif %}{% endfor %}', '{% for i in [1] %}{{ loop(i) }}{% endfor %}', '{% for i in [1] %}{% endfor %}{{ i }}{{ loop }}', '{% set i = 9 %}{% for i in [1] %}{{ i }}{% endfor %}{{ i }}',
    '{% for i in range(3)|reverse %}{{ i }}{% endfor %}', '{% for m in messages|reverse %}{{ m.role }}{% endfor %}', '{% for m in messages[::-1] %}{{ loop.index0 }}{{ m.role }}{% endfor %}', '{% for i in (1, 2) %}{{ i }}{% endfor %}', '{% for i in 1, 2 %}{{ i }}{% endfor %}',
    '{% for i in [1, 2]|map("string") %}{{ i }}{{ loop.length }}{{ loop.last }}{% endfor %}', '{% for i in tools.people|groupby("age") %}{{ i.grouper }}:{{ i.list|length }};{% endfor %}', '{% for a, l in tools.people|groupby("age") %}{{ a }}:{{ l|map(attribute="name")|join(",") }};{% endfor %}',
    '{% for row in [1, 2, 3]|batch(2) %}{{ row }}{% endfor %}', '{% for row in [1, 2, 3]|slice(2) %}{{ row }}{% endfor %}', '{% break %}', '{% for i in [1] %}{% if true %}{% break %}{% endif %}x{% endfor %}', '{% for i in [3, 1] %}{% for j in range(i) %}{{ j }}{% else %}e{% endfor %}{% endfor %}',
    '{% for x in [1, 2] %}{{ x }}{{ loop.index is odd }}{{ loop.index % 2 }}{% endfor %}', '{% for m in messages %}{{ m["role"] }}{% if not loop.last %}, {% endif %}{% endfor %}', '{% for i in [1, 2] %}{{ i }}{% endfor %}{% for i in [3] %}{{ i }}{% endfor %}', '{% for i in [1,2,3] %}{{ loop }}{% endfor %}'.replace('{{ loop }}', '{{ loop is defined }}'),
    '{% for k, v in tools.people[0].items() if v is string %}{{ k }}={{ v }};{% endfor %}', '{% for i in [1, 2] if loop.index > 1 %}{{ i }}{% endfor %}', '{% for in [1] %}{% endfor %}', '{% for i [1] %}{% endfor %}', '{% for i in %}{% endfor %}', '{% for i in [1] %}', '{% endfor %}',
    # if
    '{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}', '{% if none %}a{% elif "" %}b{% else %}c{% endif %}', '{% if undefined_name %}a{% endif %}b', '{% if undefined_name.x %}a{% endif %}b', '{% if tools.missing %}a{% else %}b{% endif %}', '{% if tools.missing.x %}a{% else %}b{% endif %}',
    '{% if messages[0].role == "system" %}{{ messages[0].content }}{% endif %}', '{% if (1) %}a{% endif %}', '{% if not 1 %}a{% else %}b{% endif %}', '{% if 1 and (0 or 1) %}a{% endif %}', '{% if 1 %}a', '{% if 1 %}a{% endfor %}', '{% else %}', '{% if 1 %}a{% else %}b{% else %}c{% endif %}', '{% elif 1 %}', '{% if %}a{% endif %}',
    # macros
    '{% macro m() %}a{% endmacro %}{{ m() }}{{ m() }}', '{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1) }}{{ m() }}{{ m(x=2) }}', '{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, y=4) }}', '{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1, 2) }}', '{% macro m(x) %}{{ x }}{% endmacro %}{{ m(z=2) }}',
    '{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, a=2) }}', '{% macro m(x) %}{{ caller() }}{{ x }}{% endmacro %}{% call m(1) %}body{% endcall %}', '{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}', '{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}',
    '{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}', '{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}', '{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}', '{% macro m() %}{{ messages|length }}{% endmacro %}{{ m() }}',
    '{% macro m() %}{% set x = 5 %}{% endmacro %}{{ m() }}{{ x }}', '{{ m() }}{% macro m() %}a{% endmacro %}', '{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}', '{% macro m() %}\n a\n{% endmacro %}\n[{{ m() }}]', '{% macro m() -%}\n a\n{%- endmacro %}[{{ m()|upper }}]', '{% macro m(x) %}{{ x|e }}{% endmacro %}{{ m("<") ~ "<" }}',
    '{% macro render(content, do_trim) %}{%- if content is string %}{{- content|trim if do_trim else content }}{%- else %}{%- for c in content %}{{- c.text }}{%- endfor %}{%- endif %}{%- endmacro %}{{ render(" a ", true) }}|{{ render([{"text": "b"}], false) }}', '{% macro m(x) %}{% endmacro %}{{ m.name }}{{ m.arguments }}', '{% macro a() %}A{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}',
    '{% for i in [1] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}', '{% for i in [1] %}{% macro m() %}x{% endmacro %}{% endfor %}{{ m() }}', '{% macro m(x=[]) %}{{ x }}{% endmacro %}{{ m() }}', '{% macro 1() %}{% endmacro %}', '{% macro m( %}{% endmacro %}', '{% macro m() %}a', '{% macro m(a=1, b) %}{% endmacro %}', '{% macro m() %}{{ loop.index }}{% endmacro %}{% for i in [1] %}{{ m() }}{% endfor %}',
    '{% macro json_to_python_type(json_spec) %}{%- set basic = {"string": "str", "number": "float"} %}{%- if basic[json_spec.type] is defined %}{{- basic[json_spec.type] }}{%- elif json_spec.type == "array" -%}{{- "list[" + json_to_python_type(json_spec|items) + "]" }}{%- else %}{{- "Any" }}{%- endif %}{%- endmacro %}{{ json_to_python_type({"type": "string"}) }}{{ json_to_python_type({"type": "object"}) }}',
    # with, filter blocks, call, do, autoescape
    '{% with x = 1 %}{{ x }}{% endwith %}{{ x }}', '{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x }}', '{% with x = 1, y = x %}{{ y }}{% endwith %}', '{% filter upper %}abc{{ "d" }}{% endfilter %}', '{% filter upper|lower %}Abc{% endfilter %}', '{% filter replace("a", "b") %}aaa{% endfilter %}', '{% do [1] %}', '{% autoescape true %}{{ "<" }}{% endautoescape %}', '{% autoescape false %}{{ "<" }}{% endautoescape %}',
    '{% block b %}x{% endblock %}', '{% block b %}x{% endblock %}{{ self.b() }}', '{% include "x" %}', '{% include "x" ignore missing %}', '{% import "x" as y %}', '{% from "x" import y %}', '{% extends "x" %}', '{% nothing %}', '{% trans %}a{% endtrans %}', '{% debug %}', '{% call m() %}{% endcall %}', '{% %}', '{{ }}', '{{', '{%', '{#', '{% raw %}', '{% endraw %}', '{% if 1 %}{% for i in [1] %}{% endif %}{% endfor %}',
    # generation
    'a{% generation %}b{% endgeneration %}c', '{% generation %}\nb\n{% endgeneration %}\nc', 'a\n{%- generation -%}\n b \n{%- endgeneration -%}\n c', '{% for m in messages %}{% if m.role == "assistant" %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}', '{% generation %}{% set x = 1 %}{{ x }}{% endgeneration %}{{ x }}', '{% set x = 1 %}{% generation %}{{ x }}{% endgeneration %}',
    '{% set ns = namespace(a=1) %}{% generation %}{% set ns.a = 2 %}{% endgeneration %}{{ ns.a }}', '{% for i in [1, 2] %}{% generation %}{{ loop.index }}{{ i }}{% endgeneration %}{% endfor %}', '{% generation %}a', '{% endgeneration %}', '{% generation x %}a{% endgeneration %}', '{% raw %}{% generation %}{% endraw %}', '{{ "{% generation %}" }}', '{# {% generation %} #}a', '{%generation%}a{%endgeneration%}', '{%+ generation +%}a{%+ endgeneration +%}',
    '{% generation %}{% generation %}a{% endgeneration %}{% endgeneration %}', '{% if false %}{% generation %}a{% endgeneration %}{% endif %}b', '{% macro m() %}{% generation %}a{% endgeneration %}{% endmacro %}{{ m() }}',
    # % and others in statements
    '{% set x = "%s-%s" % (1, 2) %}{{ x }}', '{% if "%d" % 3 == "3" %}y{% endif %}', '{% for i in ["%s" % 1, "%s" % 2] %}{{ i }}{% endfor %}', '{{ raise_exception("a %s" % 1) if false else "ok" }}', '{% set x = {"a": "%s" % 1} %}{{ x.a }}', '{{ f("%s" % 1) }}'.replace('f(', 'dict(a='), '{{ ["%s" % 1][0] }}', '{{ "%s"%1 }}', '{{ "%s" %1}}', '{% if 7 % 2 %}odd{% endif %}', '{% if loop is defined %}a{% endif %}{% for i in range(4) %}{% if (loop.index0 % 2 == 0) %}{{ i }}{% endif %}{% endfor %}',
    '{% for message in messages %}{% if (message["role"] == "user") != (loop.index0 % 2 == 1) %}{{ raise_exception("order") }}{% endif %}{{ message.role }}{% endfor %}', '{% for message in messages %}{% if (message["role"] == "user") != (loop.index0 % 2 == 0) %}{{ raise_exception("order") }}{% endif %}{{ message.role }}{% endfor %}',
    '{{ "{{ 1 % 2 }}" }}', "{% raw %}{{ '%s' % 1 }}{% endraw %}", '{# {{ "%s" % 1 }} #}', '{% set x %}{{ "%s" % 1 }}{% endset %}{{ x }}', '{% macro m(a="%s" % 1) %}{{ a }}{% endmacro %}{{ m() }}', '{% call m("%s" % 1) %}{% endcall %}', '{{ "a" ~ "%s" % "b" ~ "c" }}', '{{ ("%s" % "b").upper() }}', '{{ "%s" % "b"|upper }}', '{{ "%s" % x if false else 1 }}', '{{ tools["%s" % "s"] }}', '{{ [1, 2, 3][7 % 4 - 2:] }}',
    "{%- if '%s' is string %}a{% endif -%}", '{{ 10 // 3 % 2 }}', '{{ 10 % 4 // 2 * 3 }}', '{{ 2 * 7 % 4 }}', '{{ -7 % 3 ** 2 }}', '{{ (7 % 4) ** 2 }}', '{{ not 4 % 2 }}', '{{ 7 % 4 is odd }}', '{{ 7 % 4 in [3] }}', '{{ 5 if 4 % 2 else 6 }}', '{{ 7\n%\n4 }}',
    # Values that stay what they are
    '{% set l = [1, 2] %}{% set _ = l.append(3) %}{{ l }}', '{% set d = {} %}{% set _ = d.update({"a": 1}) %}{{ d }}', '{{ tools.l.__class__ }}', '{{ messages.__len__() }}', '{{ "".__class__.__base__ }}', '{{ range.__globals__ }}', '{{ "%s" % "".__class__ }}',
    # As templates of models have it
    '{%- for tool in [tools.function] %}\n{{- "\\n" }}\n{{- tool | tojson }}\n{%- endfor %}', '{%- if tools is iterable and tools | length > 0 %}\n    {{- "x" }}\n{%- endif %}', '{%- if tools is not none and tools is mapping %}m{% endif %}', '{%- for k, v in tools.function.function.parameters.properties | items %}{{ "<" ~ k ~ ">" }}{%- for f in v.keys() | reject("in", ["name"]) %}{{ f }}{%- endfor %}{%- endfor %}',
    '{%- set content = messages[2].content %}{%- set reasoning_content = "" %}{%- if "</think>" in content %}{%- set reasoning_content = ((content.split("</think>")|first).rstrip("\\n").split("<think>")|last).lstrip("\\n") %}{%- set content = (content.split("</think>")|last).lstrip("\\n") %}{%- endif %}{{ reasoning_content }}|{{ content }}', '{{ tools.function.function.name|string|trim }}', '{{ (tools.function|tojson(indent=2)).splitlines()|length }}', '{{ tools.d | tojson | safe }}', '{{ tools.d.m|tojson(indent=4)|replace("    ", "\\t") }}',
    '{{ messages | map(attribute="role") | join(" ") | upper }}', '{{ messages|selectattr("role", "equalto", "user")|map(attribute="content")|first|trim }}', "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}", '{%- for message in messages %}{%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = "" %}{%- endif %}{{ content|length }};{%- endfor %}',
    '{%- set loop_messages = messages[1:] if messages[0].role == "system" else messages %}{{ loop_messages|length }}', '{%- set tool_call = {"name": "f", "arguments": {"a": 1}} %}{%- if tool_call.arguments is string %}s{% else %}{{- tool_call.arguments | tojson }}{% endif %}', '{%- for args_name, args_value in tools.args|items %}{{- "<parameter=" + args_name + ">\\n" }}{%- set args_value = args_value | tojson | safe if args_value is mapping or (args_value is sequence and args_value is not string) else args_value | string %}{{- args_value }}{{- "\\n</parameter>\\n" }}{%- endfor %}',
    '{{- "{\\"name\\": \\"" + tools.function.function.name + "\\", \\"arguments\\": " }}{{- tools.args | tojson }}{{- "}" }}', '{%- set ns = namespace(is_first=true, s="") -%}{%- for m in messages -%}{%- if ns.is_first -%}{%- set ns.s = m.content -%}{%- set ns.is_first = false -%}{%- else -%}{%- set ns.s = ns.s + "\\n\\n" + m.content -%}{%- endif -%}{%- endfor -%}{{ ns.s }}', "{{ '%Y' }}",
    '{%- macro render_extra_keys(json_dict, handled_keys) -%}{%- if json_dict is mapping %}{%- for json_key in json_dict if json_key not in handled_keys %}{%- if json_dict[json_key] is mapping or (json_dict[json_key] is sequence and json_dict[json_key] is not string) %}{{- "\\n<" ~ json_key ~ ">" ~ (json_dict[json_key] | tojson | safe) ~ "</" ~ json_key ~ ">" }}{%- else %}{{- "\\n<" ~ json_key ~ ">" ~ (json_dict[json_key] | string) ~ "</" ~ json_key ~ ">" }}{%- endif %}{%- endfor %}{%- endif %}{%- endmacro %}{{ render_extra_keys(tools.function.function, ["name"]) }}',
    '{%- set enable = enable_thinking if enable_thinking is defined else true %}{{ enable }}', '{%- if enable_thinking is defined and enable_thinking is false %}{{ "<think>" }}{% endif %}x', "{%- if not date_string is defined %}{%- set date_string = '26 Jul 2024' %}{%- endif %}{{ date_string }}", '{{ strftime_now is defined }}', '{{- bos_token if bos_token is defined and bos_token }}x',
]


def case(template):
    try:
        return {'template': template, 'text': env.from_string(template).render(
            messages=MESSAGES, tools=TOOLS, add_generation_prompt=True, bos_token='', eos_token='')}
    except Exception as e:
        if '-v' in sys.argv:
            print(f'{template!r}: {type(e).__name__}: {e}')
        return {'template': template, 'text': None}


expressions = [e for e in EXPRESSIONS.splitlines() if e and not e.startswith('# ')]
# Objects that are shown by their address are nothing to compare.
cases = [c for c in map(case, ['{{ ' + e + ' }}' for e in expressions] + TEMPLATES) if ' at 0x' not in (c['text'] or '')]
assert len({c['template'] for c in cases}) > 900
out = {'messages': MESSAGES, 'tools': json.dumps(TOOLS), 'cases': cases}
(here / 'templates.json').write_text(json.dumps(out, ensure_ascii=True, indent=0) + '\n')
