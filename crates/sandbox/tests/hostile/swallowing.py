## everything_forever: duration
while True:
    try:
        while True:
            pass
    except:
        pass
## base_exception_forever: duration
while True:
    try:
        while True:
            pass
    except BaseException:
        continue
## timeout_caught: duration
try:
    while True:
        pass
except TimeoutError:
    'survived'
## finally_forever: duration
def f():
    try:
        while True:
            pass
    finally:
        while True:
            pass
f()
## returning_from_finally: duration
def f():
    while True:
        try:
            while True:
                pass
        finally:
            continue
f()
## a_context_that_swallows: duration runtime_error
class Swallow:
    def __enter__(self):
        return self
    def __exit__(self, kind, value, trace):
        return True
while True:
    with Swallow():
        while True:
            pass
## call_cap_caught: nested_call_limit
n = 0
while True:
    try:
        n += 1
        await echo('x')
    except BaseException:
        pass
## call_cap_caught_in_gather: nested_call_limit
import asyncio
async def one():
    try:
        return await echo('x')
    except BaseException:
        return None
await asyncio.gather(*[one() for _ in range(1000)])
## a_false_memory_error: memory
raise MemoryError('memory limit exceeded: 1 bytes > 0 bytes')
## a_false_timeout: duration runtime_error
raise TimeoutError('time limit exceeded: 1s > 0s')
## a_false_tool_error: runtime_error
raise RuntimeError('upstream_error: made up')
## a_false_syntax_error: syntax_error runtime_error
raise SyntaxError('made up')
## a_false_refusal: unsupported_syntax
raise NotImplementedError('The monty syntax parser does not yet support honesty')
## leaving: runtime_error
import sys
sys.exit(0)
## leaving_by_exception: runtime_error
raise SystemExit(65)
## interrupting: runtime_error
raise KeyboardInterrupt()
## stop_iteration: runtime_error
raise StopIteration()
## a_huge_message: runtime_error
raise ValueError('x' * 10000000)
## a_huge_assertion: runtime_error
assert False, 'x' * 10000000
## a_huge_repr_in_an_assertion: runtime_error memory
x = ['x' * 1000] * 10000
assert x == 1
## a_chain_of_causes: ok duration allocations runtime_error memory
e = None
for i in range(100000):
    try:
        raise ValueError(i) from e
    except ValueError as x:
        e = x
'done'
