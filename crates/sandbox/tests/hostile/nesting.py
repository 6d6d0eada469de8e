## parentheses: syntax_error
«(×100000»1«)×100000»
## parentheses_few: syntax_error runtime_error
«(×1000»1«)×1000»
## brackets: syntax_error
«[×100000»«]×100000»
## unclosed: syntax_error
«(×100000»
## braces: syntax_error
«{1:×60000»1«}×60000»
## unary: syntax_error
«-×200000»1
## nots: syntax_error
«not ×60000»1
## sum_of_ones: syntax_error ok
1«+1×120000»
## powers: syntax_error memory runtime_error duration
1«**1×80000»
## attributes: syntax_error runtime_error
x = 1
x«.a×120000»
## calls: syntax_error runtime_error
f = 1
f«()×120000»
## subscripts: syntax_error runtime_error
x = 1
x«[0]×80000»
## ternaries: syntax_error
«1 if x else ×20000»1
## lambdas: syntax_error
«lambda: ×30000»1
## comparisons: syntax_error ok
1«<1×120000»
## ands: syntax_error ok
1« and 1×40000»
## walrus: syntax_error runtime_error
«(a:=×50000»1«)×50000»
## fstrings: syntax_error ok
f'{f"{f'{f"{f'{1}'}"}'}"}«{×50000»'
## blocks: syntax_error
«if 1:
 ×100»pass
## elifs: syntax_error ok
if 0:
    pass
«elif 0:
    pass
×10000»
## decorators: runtime_error unsupported_syntax syntax_error
«@f
×60000»def g():
    pass
## assignments: ok syntax_error
«a = ×60000»1
## strings_side_by_side: ok
len(«'a' ×60000»)
## many_names: syntax_error ok runtime_error
«a×250000» = 1
1
## many_statements: ok memory
«x=1
×60000»1
## many_functions: ok memory syntax_error
«def f(): pass
×15000»1
## comments: ok
«#######
×30000»1
## deep_list: runtime_error result_too_large recursion ok
a = []
for _ in range(100000):
    a = [a]
a
## deep_tuple: recursion ok runtime_error
a = ()
for _ in range(100000):
    a = (a,)
hash(a)
## deep_equality: recursion ok
a = b = 1
for _ in range(100000):
    a = [a]
    b = [b]
a == b
## deep_dict_as_json: recursion runtime_error
import json
d = {}
for _ in range(100000):
    d = {'d': d}
json.dumps(d)
## deep_json_read: runtime_error recursion
import json
json.loads('[' * 1000000)
## deep_repr: ok recursion
a = []
for _ in range(100000):
    a = [a]
len(repr(a))
## deep_argument: runtime_error recursion
a = []
for _ in range(100000):
    a = [a]
await echo(a)
## deep_drop: ok duration memory
a = []
for _ in range(1000000):
    a = [a]
a = None
'dropped'
## cyclic_result: ok
a = [1]
a.append(a)
a
## cyclic_argument: runtime_error ok
a = [1]
a.append(a)
await echo(a)
## cyclic_json: runtime_error recursion
import json
a = {}
a['a'] = a
json.dumps(a)
## cyclic_equality: recursion ok
a = []
a.append(a)
b = []
b.append(b)
a == b
## null_byte: syntax_error
x = 1 ␀ 2
## wrong_indent: syntax_error
if True:
        x = 1
    y = 2
## right_to_left: ok syntax_error
x = '‮' + 'a'
len(x)
## surrogates: syntax_error ok runtime_error
'\ud800'
