## plain: recursion
def f():
    return f()
f()
## mutual: recursion
def f():
    return g()
def g():
    return f()
f()
## in_a_lambda: recursion
f = lambda: f()
f()
## within_map: recursion
def f(x):
    return list(map(f, [x]))
f(1)
## within_sort: recursion
def f(x):
    return sorted([x, x], key=f)
f(1)
## within_repr: recursion
class A:
    def __repr__(self):
        return repr(self)
repr(A())
## within_str: recursion
class A:
    def __str__(self):
        return str(self)
str(A())
## within_eq: recursion ok
class A:
    def __eq__(self, other):
        return self == other
A() == A()
## within_getattr: recursion runtime_error
class A:
    def __getattr__(self, name):
        return getattr(self, name)
A().x
## async_recursion: recursion
async def f():
    return await f()
await f()
## gathered_recursion: recursion memory duration allocations
import asyncio
async def f():
    return await asyncio.gather(f(), f())
await f()
## a_chain_of_gathers: ok recursion memory
import asyncio
async def leaf():
    return 1
async def wrap(g):
    return await asyncio.gather(g)
g = leaf()
for _ in range(4000):
    g = wrap(g)
r = await g
'done'
## caught_and_repeated: duration recursion allocations
def f():
    try:
        f()
    except RecursionError:
        f()
f()
## caught_in_a_loop: duration allocations
def f():
    return f()
while True:
    try:
        f()
    except RecursionError:
        pass
## reduce: recursion
import functools
def f(a, b):
    return functools.reduce(f, [a, b])
f(1, 2)
## cached: recursion runtime_error
import functools
@functools.lru_cache
def f(n):
    return f(n + 1)
f(0)
## init: recursion
class A:
    def __init__(self):
        A()
A()
## default_arguments: duration recursion memory
def f(n, acc=[]):
    acc.append('x' * 1000)
    return f(n + 1) if n < 10 ** 9 else acc
f(0)
