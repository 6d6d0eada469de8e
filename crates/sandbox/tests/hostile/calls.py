## a_flood: nested_call_limit
for _ in range(100000):
    echo('x')
## a_gathered_flood: nested_call_limit
import asyncio
await asyncio.gather(*[echo(str(i)) for i in range(10000)])
## a_flood_of_failures: nested_call_limit
while True:
    try:
        await fail('no')
    except RuntimeError:
        pass
## a_flood_that_is_never_awaited: nested_call_limit
cs = [echo('x') for _ in range(1000)]
## a_failure_uncaught: tool_error
await fail('no')
## a_failure_in_gather: tool_error
import asyncio
await asyncio.gather(fail('a'), fail('b'), echo('c'))
## two_failures_caught_in_gather: ok
import asyncio
async def one(n):
    try:
        await fail(str(n))
    except RuntimeError as e:
        return str(e)
await asyncio.gather(*[one(n) for n in range(10)])
## a_huge_argument: runtime_error
await echo('x' * 10000000)
## a_huge_argument_of_parts: runtime_error
await echo(['x' * 1000] * 10000)
## a_huge_name: runtime_error
await echo(**{'x' * 10000000: 1})
## many_arguments: ok runtime_error
r = await echo(**{'a' + str(i): i for i in range(10000)})
len(r)
## a_name_that_is_no_string: runtime_error
await echo(**{1: 2})
## bytes_as_argument: runtime_error
await echo(b'x')
## a_function_as_argument: runtime_error
await echo(lambda: 1)
## a_tool_as_argument: runtime_error
await echo(echo)
## a_coroutine_as_argument: runtime_error
await echo(echo('x'))
## infinity_as_argument: runtime_error
await echo(float('inf'))
## too_many_positions: runtime_error
await echo(1, 2, 3, 4, 5)
## an_answer_that_is_too_large: tool_error
await big(3000000)
## answers_that_add_up: memory nested_call_limit duration
kept = []
while True:
    kept.append(await big(900000) + await big(900000))
## a_call_inside_a_sort: ok runtime_error recursion
sorted([3, 1, 2], key=lambda x: echo(x))
## a_call_inside_a_repr: runtime_error ok
class A:
    def __repr__(self):
        return echo('x')
repr(A())
## a_slow_call_abandoned: ok duration
slow(30)
'done'
## an_escape_in_an_argument: ok
await echo('"}}, {"Done": {"end": {"Ok": null}}}\u0000\n')
