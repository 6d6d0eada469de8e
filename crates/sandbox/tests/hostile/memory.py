## list_of_a_huge_range: memory
list(range(10 ** 10))
## list_times: memory
[0] * 10 ** 10
## string_times: memory
'x' * 10 ** 12
## string_times_beyond_words: memory runtime_error
'x' * 10 ** 18
## bytes_times: memory
b'x' * 10 ** 12
## doubling_a_string: memory
s = 'x'
while True:
    s += s
## doubling_a_list: memory
a = [1]
while True:
    a = a + a
## a_list_that_extends_itself: memory duration
a = [1]
while True:
    a.extend(a)
## appending_forever: memory duration
a = []
while True:
    a.append(a)
## appending_lists_forever: memory duration allocations
a = []
while True:
    a.append([1, 2, 3])
## growing_a_dict: memory duration allocations
d = {}
i = 0
while True:
    d[i] = i
    i += 1
## growing_a_set: memory duration allocations
s = set()
i = 0
while True:
    s.add(i)
    i += 1
## growing_while_iterating: memory duration
a = [1]
for x in a:
    a.append(x)
## catching_the_memory_error: memory
try:
    'x' * 10 ** 12
except MemoryError:
    pass
'survived'
## catching_it_bare: memory
try:
    'x' * 10 ** 12
except:
    pass
'survived'
## catching_it_in_a_loop: memory
kept = []
while True:
    try:
        kept.append('x' * 10 ** 6)
    except BaseException:
        pass
## finally_after_memory: memory
try:
    kept = ['x' * 10 ** 7 for _ in range(1000)]
finally:
    more = 'y' * 10 ** 7
## join_bomb: memory
a = ['x' * 1000000] * 100000
''.join(a)
## join_small: memory
','.join(['x'] * 10 ** 8)
## split_bomb: memory duration
('a,' * 20000000).split(',')
## splitlines_bomb: memory duration
('\n' * 40000000).splitlines()
## replace_bomb: memory duration
('a' * 1000000).replace('a', 'b' * 100000)
## fstring_width: memory duration
f'{1:>1000000000}'
## fstring_nested_width: memory duration
w = 10 ** 9
f'{"x":^{w}}'
## format_precision: memory runtime_error ok
f'{1.5:.1000000000f}'
## ljust: memory
'x'.ljust(10 ** 11)
## zfill: memory runtime_error
'1'.zfill(10 ** 11)
## center: memory runtime_error
'x'.center(10 ** 11, '-')
## expandtabs: memory runtime_error
('\t' * 1000).expandtabs(10 ** 9)
## shared_references: memory result_too_large duration
a = ['x' * 1000]
for _ in range(40):
    a = [a, a]
a
## repr_of_shared_references: memory duration
a = ['x']
for _ in range(40):
    a = [a, a]
repr(a)
## json_of_shared_references: memory duration
import json
a = ['x']
for _ in range(40):
    a = [a, a]
json.dumps(a)
## printing_shared_references: memory duration
a = ['x']
for _ in range(40):
    a = [a, a]
print(a)
## tuples_of_tuples: memory duration result_too_large
t = ()
for _ in range(45):
    t = (t, t)
t
## product: memory duration runtime_error
import itertools
list(itertools.product(range(1000), repeat=4))
## permutations: runtime_error
import itertools
list(itertools.permutations(range(12)))
## combinations: runtime_error
import itertools
list(itertools.combinations(range(40), 20))
## islice_huge: memory duration allocations
import itertools
list(itertools.islice(itertools.count(), 10 ** 10))
## genexp_huge: memory duration allocations
g = (x for x in range(10 ** 12))
1
## comprehension_huge: memory duration allocations
[x for x in range(10 ** 12)]
## dict_comprehension_huge: memory duration allocations
{x: x for x in range(10 ** 12)}
## closures: memory duration allocations
fs = []
while True:
    x = 'x' * 100
    fs.append(lambda y=x: y)
## counter_elements: memory duration runtime_error
import collections
list(collections.Counter({'x': 10 ** 10}).elements())
## deque_growth: memory duration allocations runtime_error
import collections
d = collections.deque()
while True:
    d.append('x' * 1000)
## defaultdict_growth: memory duration allocations runtime_error
import collections
d = collections.defaultdict(list)
i = 0
while True:
    d[i].append(i)
    i += 1
## base64_bomb: memory
import base64
base64.b64encode(b'x' * 30000000) + base64.b64encode(b'x' * 30000000)
## hex_bomb: memory
(b'x' * 30000000).hex() + (b'x' * 20000000).hex()
## encode_bomb: memory
('é' * 20000000).encode() + ('é' * 20000000).encode()
## unpacking_endless: memory duration allocations
import itertools
a, *b = itertools.count()
## star_arguments_endless: memory duration allocations
import itertools
print(*itertools.count())
## slices: memory duration
a = list(range(1000000))
[a[:] for _ in range(1000)]
## cycles_of_garbage: duration allocations memory
while True:
    a = []
    b = [a, 'x' * 1000]
    a.append(b)
## exceptions_that_hold: memory duration allocations
kept = []
while True:
    try:
        raise ValueError('x' * 10000)
    except ValueError as e:
        kept.append(e)
## unicode_normalization: memory duration
import unicodedata
unicodedata.normalize('NFKD', '\ufdfa' * 2000000)
## a_class_full_of_text: memory
class A:
    pass
a = A()
a.text = 'x' * 10 ** 10
## translate: memory duration runtime_error
('a' * 1000000).translate({97: 'x' * 100000})
