## reading_a_file: runtime_error
open('/etc/passwd').read()
## writing_a_file: runtime_error
open('/tmp/x', 'w').write('x')
## path_read: runtime_error
import pathlib
pathlib.Path('/etc/passwd').read_text()
## path_write: runtime_error
import pathlib
pathlib.Path('/tmp/x').write_text('x')
## path_list: runtime_error
import pathlib
list(pathlib.Path('/').iterdir())
## path_exists: runtime_error
import pathlib
pathlib.Path('/etc/passwd').exists()
## path_unlink: runtime_error
import pathlib
pathlib.Path('/tmp/x').unlink()
## path_proc: runtime_error
import pathlib
pathlib.Path('/proc/self/environ').read_bytes()
## path_resolve: runtime_error
import pathlib
pathlib.Path('..').resolve()
## environment: runtime_error
import os
os.environ
## environment_of_a_name: runtime_error
import os
os.getenv('PATH')
## listing: runtime_error
import os
os.listdir('/')
## sockets: runtime_error
import socket
## urllib: runtime_error
import urllib.request
## http: runtime_error
import http.client
## requests: runtime_error
import requests
## ssl: runtime_error
import ssl
## asyncio_connection: runtime_error
import asyncio
await asyncio.open_connection('127.0.0.1', 80)
## asyncio_process: runtime_error
import asyncio
await asyncio.create_subprocess_exec('id')
## asyncio_sleep: runtime_error duration
import asyncio
await asyncio.sleep(3600)
## time_sleep: runtime_error
import time
time.sleep(3600)
## input: runtime_error
input()
## breakpoint: runtime_error
breakpoint()
## standard_input: runtime_error
import sys
sys.stdin.read()
## standard_output: runtime_error
import sys
sys.stdout.write('{"Done":null}')
