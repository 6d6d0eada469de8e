## power_tower: memory duration
9 ** 9 ** 9
## power_of_powers: memory duration
x = 10 ** 1000
while True:
    x = x ** 10
## squaring: duration memory
x = 3
while True:
    x = x * x
## big_modular_power: duration
pow(3 ** 200000, 3 ** 200000, 7 ** 200000)
## multiplying_big: duration memory
a = 3 ** 1000000
while True:
    b = a * a
## dividing_big: duration memory
a = 3 ** 1000000
b = 7 ** 300000
while True:
    a // b
## shift_left: memory
1 << 10 ** 12
## shift_left_twice: memory runtime_error
(1 << 10 ** 8) << 10 ** 8
## negative_shift: runtime_error
1 << -1
## factorial: runtime_error memory duration
import math
math.factorial(10 ** 7)
## combinations_number: runtime_error duration memory
import math
math.comb(10 ** 8, 5 * 10 ** 7)
## digits_of_a_big_integer: runtime_error duration
str(10 ** 5000000)
## printing_a_big_integer: runtime_error duration
print(7 ** 3000000)
## big_integer_as_result: runtime_error result_too_large duration ok
7 ** 3000000
## parsing_digits: runtime_error duration
int('9' * 10 ** 7)
## hex_of_big: memory duration result_too_large ok
hex(1 << 200000000)
## float_of_big: runtime_error
float(10 ** 400)
## rounding: ok runtime_error memory
round(1.5, 10 ** 9)
## gcd_of_big: duration memory ok runtime_error
import math
a = 3 ** 500000
b = 5 ** 500000
[math.gcd(a, b) for _ in range(1000)]
## isqrt_of_big: duration memory ok runtime_error result_too_large
import math
x = math.isqrt(10 ** 2000000)
1
## sum_of_bigs: duration memory allocations
sum(3 ** i for i in range(10 ** 6))
## endless_floats: ok runtime_error
[float('inf'), float('nan'), -float('inf')]
## sorting_nan: ok
len(sorted([float('nan') if i % 3 else i for i in range(100000)]))
## dates_overflow: runtime_error
import datetime
datetime.date(9999, 12, 31) + datetime.timedelta(days=10 ** 9)
## big_integer_argument: runtime_error
await echo(2 ** 200)
## complex_hash: ok runtime_error
len({hash(x): x for x in range(100000)})
