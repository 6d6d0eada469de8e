## a_flood_of_output: duration ok allocations
while True:
    print('x' * 1000)
## a_flood_of_lines: duration allocations
while True:
    print()
## one_huge_line: ok
print('x' * 30000000)
'done'
## output_of_escapes: ok
print('\x00' * 1000000)
'done'
## a_huge_text: result_too_large
'x' * 30000000
## a_huge_list: result_too_large memory
list(range(1000000))
## a_huge_dict: result_too_large memory duration
{str(i): i for i in range(200000)}
## escapes_as_result: result_too_large
'\x00' * 2000000
## just_below: ok
'x' * 900000
## escapes_just_below: result_too_large ok
'\x00' * 900000
## a_huge_key: result_too_large
{'x' * 3000000: 1}
## huge_bytes: result_too_large
b'\x00' * 3000000
## a_huge_name_error: runtime_error syntax_error
«x×200000»
## a_source_that_is_too_large: source_too_large
'«x×300000»'
## dataclasses_many: ok memory allocations duration result_too_large
import dataclasses
@dataclasses.dataclass
class P:
    x: int
[P(i) for i in range(10000)][0]
## namedtuples_many: memory duration allocations runtime_error ok
import collections
i = 0
while True:
    collections.namedtuple('N' + str(i), 'a b c')
    i += 1
