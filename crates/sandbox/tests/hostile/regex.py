## nested_quantifiers: ok
import re
re.match('(a+)+$', 'a' * 40 + 'b')
## alternatives: ok duration runtime_error
import re
re.match('(a|aa)+$', 'a' * 60 + 'b')
## backreference: runtime_error duration ok
import re
re.match(r'(a+)+\1$', 'a' * 60 + 'b')
## lookahead: runtime_error duration ok
import re
re.match(r'(?=(a+)+$)b', 'a' * 60 + 'b')
## lookbehind: runtime_error duration ok
import re
re.search(r'(?<=(a|aa))(a+)+b\1', 'a' * 60)
## quadratic_search: ok duration
import re
re.findall('a*b', 'a' * 30000)
## huge_repeat: runtime_error memory
import re
re.compile('(a{1000}){1000}')
## huge_class: runtime_error duration
import re
re.match(r'[\w\W]{100000}', 'a')
## deep_groups: runtime_error
import re
re.compile('(' * 100000 + ')' * 100000)
## many_patterns: duration memory allocations
import re
i = 0
while True:
    re.compile('a{' + str(i) + '}b')
    i += 1
## sub_bomb: memory duration
import re
re.sub('a', 'b' * 1000000, 'a' * 1000000)
## split_everywhere: memory duration ok
import re
len(re.split('', 'a' * 3000000))
