## class_of_a_tuple: runtime_error
().__class__
## subclasses: runtime_error
().__class__.__bases__[0].__subclasses__()
## method_resolution: runtime_error
int.__mro__
## object_subclasses: runtime_error
object.__subclasses__()
## globals_of_a_function: runtime_error
def f():
    pass
f.__globals__
## code_of_a_function: runtime_error
def f():
    pass
f.__code__
## closure_of_a_function: runtime_error
x = 1
(lambda: x).__closure__
## builtins_name: runtime_error
__builtins__
## builtins_of_a_module: runtime_error
import json
json.__builtins__
## loader_of_a_module: runtime_error
import json
json.__loader__.load_module('os')
## dict_of_a_module: runtime_error
import math
math.__dict__
## getattr_by_text: runtime_error
getattr((), '__cla' + 'ss__')
## format_attribute: runtime_error
'{0.__class__.__mro__}'.format(())
## format_index: runtime_error
'{0[__class__]}'.format({})
## eval: runtime_error
eval('1')
## exec: runtime_error
exec('x = 1')
## compile: runtime_error
compile('1', 'a', 'eval')
## import_function: runtime_error
__import__('os')
## importlib: runtime_error
import importlib
## import_os_system: runtime_error
import os
os.system('id')
## import_subprocess: runtime_error
import subprocess
subprocess.run(['id'])
## import_ctypes: runtime_error
import ctypes
## import_gc: runtime_error
import gc
gc.get_objects()
## import_inspect: runtime_error
import inspect
inspect.currentframe()
## import_sys_modules: runtime_error
import sys
sys.modules['os']
## sys_frames: runtime_error
import sys
sys._getframe()
## import_threading: runtime_error
import threading
## import_multiprocessing: runtime_error
import multiprocessing
## import_signal: runtime_error
import signal
## import_builtins: runtime_error
import builtins
## import_pickle: runtime_error
import pickle
## import_marshal: runtime_error
import marshal
## globals: runtime_error
globals()
## locals: runtime_error
locals()
## vars: runtime_error
vars()
## dir: runtime_error
dir()
## type_of_three: ok runtime_error
type('A', (), {})
## metaclass: runtime_error unsupported_syntax
class M(type):
    pass
## a_base_class: runtime_error unsupported_syntax
class A(dict):
    pass
## overwriting_a_builtin: ok
len = lambda x: 42
len([])
## overwriting_a_tool: ok
def echo(x):
    return 'mine'
echo('x')
## setting_on_a_builtin: runtime_error
setattr(int, 'x', 1)
## setting_on_a_module: runtime_error ok
import json
json.dumps = None
## the_sandbox_call: runtime_error
await __gateway_call__('echo', (), {})
## the_sandbox_call_by_number: runtime_error
await __gateway_call__(999, (), {})
## the_sandbox_call_negative: runtime_error
await __gateway_call__(-1, (), {})
## the_sandbox_call_with_nonsense: runtime_error
await __gateway_call__({}, None, 'x')
## the_sandbox_wait: runtime_error
await __gateway_wait__(1)
## the_sandbox_wait_overwritten: ok runtime_error
def __gateway_wait__(call):
    return call
type(echo('x'))
## a_tool_that_is_not_there: runtime_error
await drop_all_tables()
## a_coroutine_as_result: runtime_error
echo('x')
## a_coroutine_awaited_twice: runtime_error
c = echo('x')
await c
await c
## a_coroutine_in_a_dict: runtime_error
{'r': echo('x')}
## a_function_as_result: ok
def f():
    pass
f
## a_tool_as_result: ok
echo
## a_class_as_result: ok
class A:
    pass
A
## a_module_as_result: ok
import json
json
## hostile_hash: ok runtime_error
class A:
    def __hash__(self):
        raise ValueError('no')
{A(): 1}
## hostile_len: runtime_error
class A:
    def __len__(self):
        return -1
len(A())
## changing_while_iterating: runtime_error
d = {1: 1}
for k in d:
    d[k + 1] = 1
## sort_key_that_changes_the_list: ok runtime_error
a = [3, 2, 1]
a.sort(key=lambda x: a.clear() or x)
a
