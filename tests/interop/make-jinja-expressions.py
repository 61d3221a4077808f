#!/usr/bin/env python3
"""Writes tests/golden/chat/expressions.jsonl: what Jinja2 3.1 makes of small templates.

The environment is that of transformers' chat templates: ImmutableSandboxedEnvironment with
trim_blocks, lstrip_blocks and loopcontrols, tojson as json.dumps(ensure_ascii=False).
A template that raises has no "text". Needs: pip install jinja2.
"""
import datetime
import json
import sys

import jinja2.ext
import jinja2.nodes
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": " Hi\n"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
]
NOW = datetime.datetime(2024, 7, 26)

EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7 / 2
6 / 3
2 ** 10
2 ** -1
-2 ** 2
1 - - 1
1.5 + 1
0.1 + 0.2
1e3
100000.0 * 100000.0 * 1000000.0
0.00001 * 1.0
1.0
3.14159
10 / 4
1_000 + 1
'a' + 'b'
'a' ~ 1 ~ none ~ true
'a' 'b'
'ab' * 3
'-' * 0
'a' + 1
1 + 'a'
none + 1
[1, 2] + [3]
[1, 2, [3, 'x']]
[]
{}
{'a': 1, 'b': [true, none]}
(1, 2)
(1,)
()
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 == 1.0
1 == true
'1' == 1
'a' < 'b'
'a' < 1
none == none
[1, 2] == [1, 2]
[1, 2] == (1, 2)
{'a': 1} == {'a': 1}
'a' in 'abc'
'x' in 'abc'
1 in [1, 2]
'a' in {'a': 1}
3 not in [1, 2]
not 1
not 0 and 1
1 and 2
0 and 2
0 or 2
1 or 2
'' or 'x'
none or false
1 if true else 2
1 if false else 2
1 if false
'a' if 0 else 'b' if 0 else 'c'
true and not false
messages[0].role
messages[0]['content']
messages[-1].content
messages[9]
messages[9].role
messages[0].nothing
messages[0].nothing is defined
messages[1:] | length
messages[1:3] | map(attribute='role') | list
messages[::-1] | map(attribute='role') | join(',')
messages[::2] | map(attribute='role') | join(',')
messages[:-1] | length
messages[-2:] | map(attribute='role') | join(',')
messages | selectattr('role', 'equalto', 'user') | list | length
messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | join('|')
messages | selectattr('role', 'in', ['user', 'system']) | list | length
messages | selectattr('content') | list | length
messages | map(attribute='name', default='?') | list
messages | length
messages | last
messages | first | tojson
messages[0] | items | list
messages[0].items() | list
messages[0].keys() | list
messages[0].values() | list
messages[0].get('role')
messages[0].get('x')
messages[0].get('x', 'y')
messages[1].content | trim
messages[1].content.strip() + '!'
'  a b '.lstrip() ~ '|'
'  a b '.rstrip() ~ '|'
'xxaxx'.strip('x')
'abc'.upper()
'aBC'.capitalize()
'hello big world'.title()
'hello-big world' | title
'ABC' | lower
'abc' | upper
'aBC dEF' | capitalize
'a,b,c'.split(',')
'a,b,c'.split(',', 1)
' a  b c '.split()
'a b'.split(' ')
'</think>x</think>y'.split('</think>')[-1]
'a.b.c'.rsplit('.', 1)
'abc'.startswith('ab')
'abc'.startswith(('x', 'a'))
'abc'.endswith('c')
'abcabc'.replace('b', 'X')
'abcabc'.replace('b', 'X', 1)
'abcabc' | replace('b', '')
'abc'.find('c')
'abc'.find('z')
', '.join(['a', 'b'])
'abc'[0]
'abc'[-1]
'abc'[1:]
'abc'[:-1]
'abc'[::-1]
'äöü'[1]
'äöü'[1:]
'äöü' | length
'abc'[5:]
'abc'[-10:2]
[1, 2, 3][-10:2]
[1, 2, 3, 4][1:4:2]
[4, 3, 2, 1][:1:-1]
[3, 1, 2] | sort
[3, 1, 2] | sort(reverse=true)
['b', 'a'] | sort | join
[1, 2, 3] | reverse | list
[1, 1, 2] | unique | list
[1, 2, 3] | first
[1, 2, 3] | last
[] | first
[1, 5, 3] | max
[1, 5, 3] | min
[1, 2, 3] | select('odd') | list
[1, 2, 3] | reject('odd') | list
[0, 1, 2] | select | list
['a', 'b'] | map('upper') | list
[1, 2] | join(', ')
{'b': 1, 'a': 2} | dictsort
{'a': 1} | length
{'a': {'b': [1, 2]}}.a.b[1]
{'a': {'b': [1, 2]}}['a']['b'][0]
{'items': 1}.keys() | list
nothing
nothing | default('d')
'' | default('d')
'' | default('d', true)
nothing | length
nothing.x
nothing + 'a'
nothing ~ 'a'
nothing == 'a'
nothing is defined
nothing is undefined
'a' in nothing
none
true
false
1 is number
1.5 is float
1 is integer
true is integer
true is boolean
'a' is string
[] is sequence
{} is mapping
'a' is iterable
1 is iterable
none is none
none is not none
1 is odd
2 is even
4 is divisibleby 2
4 is divisibleby(3)
1 is eq 1
1 is not eq 2
2 is gt 1
'a' is in 'abc'
'a' is in(['a'])
5 is defined and 6
'42' | int + 1
'x' | int
'x' | int(7)
3.9 | int
'1.5' | float
3 | float
3 | string + '!'
-3 | abs
[1, 2] | string
'a\nb'
'tab\there'
"it's"
'it\'s "x"'
["it's"]
['it\'s "x"']
['a\nb\\']
['é', '\u00e9', '\x07']
'\u4f60\U0001F600'
'\d'
'a\
b'
{'a': 'é"\n'} | tojson
[1, 2.5, none, true, {'a': []}] | tojson
{'a': [1, 2], 'b': {}} | tojson(indent=2)
[] | tojson(indent=2)
'<b>' | tojson
'a\nb\n\nc' | indent
'a\nb' | indent(2, true)
range(3) | list
range(1, 7, 2) | list
range(3, 0, -1) | list
dict(a=1, b='x')
dict(a=1).a
namespace(a=1).a
strftime_now('%d %b %Y')
strftime_now('%A %Y-%m-%d')
raise_exception('no')
bos_token + eos_token
tools is none
tools is defined
add_generation_prompt
messages[0].content[0:2] + '...'
messages[0]['role'] == 'system' and messages[1]['role'] != 'system'
(messages[1].role == 'user') != (1 % 2 == 0)
'a' if messages[0].role == 'system' else 'b'
[messages[0].role, messages | length]
1 ~ 2 + 3
- 3 | abs
'%s' is string
'a' < 'B'
'straße'.upper()
'É' | lower
"a" == 'a'
[1, [2, 3]][1][0]
{'x': 1}.x + 1
{'x': 1}['y']
{1: 'a'}[1]
10 // 0
[1, 2, 3][1:] == [2, 3]
'abc' | list
'abc' | reverse
'a' * 2 ~ 'b'
messages.0.role
1 if nothing else 2
not nothing
nothing is not defined or nothing.x
nothing is defined and nothing.x
""".strip("\n").split("\n")

TEMPLATES = [
    "plain text",
    "ends with newline\n",
    "ends with two\n\n",
    "windows\r\nlines\r\n",
    "{# comment #}a{# b #}\nc",
    "a {#- b -#} c",
    "{% if true %}a{% endif %}\nb",
    "{% if true %}\na\n{% endif %}\nb",
    "  {% if true %}\n  a\n  {% endif %}\nb",
    "x  {% if true %}\n  a\n  {% endif %}\nb",
    "a\n  {{ 1 }}\n b",
    "a\n  {{- 1 -}}\n b",
    "a\n  {%- if true -%}\n b\n  {%- endif -%}\n c",
    "a\n  {%+ if true %}\n b\n  {% endif +%}\n c",
    "{{ 1 }}\n{{ 2 }}\n",
    "{%- for m in messages %}{{ m.role }}{% endfor -%}   x",
    "{% for m in messages %}\n{{ m.role }}\n{% endfor %}",
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}"
    "{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ m.content }}{% endfor %}",
    "{% for m in [] %}a{% else %}none{% endfor %}",
    "{% for m in [1] %}a{% else %}none{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in {'a': 1} | items %}{{ k }}={{ v }}{% endfor %}",
    "{% for (a, b) in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for c in 'añb' %}[{{ c }}]{% endfor %}",
    "{% for k in {'x': 1, 'y': 2} %}{{ k }}{% endfor %}",
    "{% for x in nothing %}a{% else %}b{% endfor %}",
    "{% for x in 5 %}a{% endfor %}",
    "{% for x in [1,2,3,4] %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in [1,2,3,4] %}{% if x == 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in [1,2] %}{% for y in [3,4] %}{{ x }}{{ y }}{{ loop.depth }} {% endfor %}{% endfor %}",
    "{% for x in [1,2,3] %}{{ loop.previtem }}<{{ loop.nextitem }};{% endfor %}",
    "{% for x in [1,2,3] %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in [1,2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.a = 'b' %}{{ ns.a }}{{ ns.c }}",
    "{% set d = {'a': 1} %}{% set d.a = 2 %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]",
    "{% set x | upper %}abc{% endset %}{{ x }}",
    "{% set x %}\n a\n{% endset %}[{{ x }}]",
    "{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}",
    "{% if 0 %}a{% elif 0 %}b{% else %}c{% endif %}",
    "{% if nothing %}a{% endif %}b",
    "{% macro f(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(b=4, a=5) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}[{{ f() }}]",
    "{% macro f(x) %}{% if x > 0 %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% set g = 'global' %}{% macro f() %}{{ g }}{% endmacro %}{{ f() }}",
    "{% macro f() %}a{% endmacro %}{{ f() | upper }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% filter upper %}abc{{ 'd' }}{% endfilter %}",
    "{% raw %}{{ x }}{% endraw %}",
    "a{% raw -%}  {{ x }} {%- endraw %} b",
    "{% raw %}\na\n{% endraw %}\nb",
    "{% generation %}abc{% endgeneration %}",
    "{{ '}}' }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{{ '{{' }}{{ \"%}\" }}",
    "{%- if messages[0].role == 'system' -%}\n  S: {{ messages[0].content }}\n{%- endif %}\n\nEnd",
    "{% for m in messages %}{% if not loop.first %}, {% endif %}{{ m.role }}{% endfor %}",
    "{% for m in messages %}{% set content = m.content | trim %}{{ content }}{% endfor %}{{ content }}",
    "{% if messages[0]['role'] == 'system' %}{% set messages = messages[1:] %}{% endif %}{{ messages | length }}",
    "{% set x = 'a' if true else 'b' %}{{ x }}",
    "{% if 'a' is defined %}d{% endif %}",
    "{{ 'a' if x is defined else 'b' }}",
    "{% for i in range(3) %}{{ i }}{{ ',' if not loop.last }}{% endfor %}",
    "{% set y = x | default(3) %}{{ y }}",
    "{% break %}",
    "{{ 1, 2 }}",
    "{% set s = '' %}{% for m in messages %}{% set s = s ~ m.role %}{% endfor %}[{{ s }}]",
    "  {# c #}  \nx",
    "a  {# c #}\nx",
    "\n\n{% if true %}\n\nx\n\n{% endif %}\n\n",
    "{{ 'a' }}\n\n{{- 'b' }}",
    "\t{% set x = 1 %}\n{{ x }}",
    "{%if true%}x{%endif%}",
    "{{x}}{{   1   }}",
    "{{ [1,2,3,] }}{{ {'a':1,} }}",
    "{{ f }}",
    "{% set m = messages | selectattr('role', 'equalto', 'user') | list %}{{ m[-1].content }}{{ m[0] == messages[1] }}",
    "{% for m in messages | reverse %}{{ m.role[0] }}{% endfor %}",
    "{% for m in messages[1:] %}{{ (m.role == 'user') == (loop.index0 % 2 == 0) }}{% endfor %}",
    "{% set loop_messages = messages[1:] if messages[0].role == 'system' else messages %}{{ loop_messages|length }}",
]


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, "jinja2.ext.loopcontrols"],
    )
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)

    def raise_exception(message):
        raise TemplateError(message)

    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def render(source):
    try:
        template = environment().from_string(source)
        return template.render(
            messages=MESSAGES, tools=None, documents=None, add_generation_prompt=False,
            bos_token="<s>", eos_token="</s>",
        )
    except Exception:  # whatever a template raises is an error to us
        return None


def main():
    out = open(sys.argv[1], "w", encoding="utf-8")
    sources = ["{{ %s }}" % e for e in "\n".join(EXPRESSIONS).replace("'a\\\nb'", "'a\\\u0001b'").split("\n")]
    for source in [s.replace("\u0001", "\n") for s in sources] + TEMPLATES:
        line = {"template": source}
        text = render(source)
        if text is not None:
            line["text"] = text
        out.write(json.dumps(line, ensure_ascii=False) + "\n")


main()
