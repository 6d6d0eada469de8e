## while_true: duration
while True:
    pass
## while_true_try: duration
while True:
    try:
        x = 1
    except Exception:
        pass
## nested_ranges: duration
for a in range(10 ** 9):
    for b in range(10 ** 9):
        a + b
## sum_of_a_huge_range: duration
sum(range(10 ** 15))
## max_of_a_huge_range: duration
max(range(10 ** 15))
## any_of_nothing: duration memory
any(x < 0 for x in range(10 ** 15))
## endless_count: duration
import itertools
for x in itertools.count():
    pass
## endless_cycle: duration
import itertools
sum(itertools.cycle([1]))
## endless_repeat: duration memory
import itertools
list(itertools.repeat(1))
## membership_in_an_endless_iterator: duration
import itertools
-1 in itertools.count()
## filter_endless: duration
import itertools
next(filter(lambda x: x < 0, itertools.count()))
## dropwhile_endless: duration
import itertools
next(itertools.dropwhile(lambda x: x >= 0, itertools.count()))
## filterfalse_endless: duration
import itertools
next(itertools.filterfalse(lambda x: x >= 0, itertools.count()))
## compress_endless: duration
import itertools
next(itertools.compress(itertools.count(), itertools.repeat(0)))
## zip_endless: duration memory allocations
import itertools
list(zip(itertools.count(), itertools.count()))
## enumerate_endless: duration memory allocations
import itertools
dict(enumerate(itertools.count()))
## all_endless: duration
import itertools
all(itertools.repeat(True))
## loop_of_name_errors: duration allocations
while True:
    try:
        nobody_knows_this
    except NameError:
        pass
## loop_of_unknown_calls: duration allocations
while True:
    try:
        nobody_knows_this(1)
    except NameError:
        pass
## loop_of_exceptions: duration allocations
while True:
    try:
        raise ValueError('again')
    except ValueError as e:
        last = e
## loop_of_dates: duration allocations
import datetime
while True:
    datetime.datetime.now()
## loop_of_file_questions: duration allocations
import pathlib
while True:
    try:
        pathlib.Path('/etc/passwd').read_text()
    except PermissionError:
        pass
## quadratic_find: duration
a = 'a' * 200000 + 'b'
b = ('a' * 100 + 'c') * 1000
for i in range(10 ** 9):
    (a * 10).find(b)
## quadratic_count: duration memory
s = 'ab' * 5000000
n = 0
while True:
    n += s.count('ba' * 1000 + 'c')
## comparing_long_strings: duration
a = 'x' * 20000000
b = 'x' * 19999999 + 'y'
while a != b:
    pass
## sorting_forever: duration allocations memory
import itertools
while True:
    sorted([(i * 7919) % 10007 for i in range(10000)])
## recursion_of_loops: duration recursion
def f(n):
    while True:
        f(n + 1)
f(0)
## awaiting_in_a_loop: nested_call_limit
while True:
    await echo('x')
## awaiting_what_never_comes: duration
await never()
## gathering_what_never_comes: duration
import asyncio
await asyncio.gather(never(), never(), echo('x'))
## waiting_then_spinning: duration
await slow(0.3)
while True:
    pass
