#!/usr/bin/env python3
"""Serve the same components with trampette and with the peer, under the same load.

usage: bench/serve.py [--trampette target/release/trampette] [--peer wasmtime] [--seconds 5]
                      [--connections 64] [--only NAME] [--memory]
                      [--guests FOLDER]

It takes `wrk`, the peer's command line (wasmtime, of any package) and the corpus (`p2http.wasm`,
`p3http.wasm`), which lies beside the repository or where TRAMPETTE_SUITES says. Each line is one
case: requests a second and the 99th percentile, of both, and the ratio. A case that the peer
cannot serve, or where answers are errors, is said to be. The cases in JavaScript and Python need
--guests: the folder that `bench/guests/build.sh FOLDER` has filled.

With --memory it measures what servers keep in place of what they do: resident memory (MiB, of the
process, and of that what is its own: no file's) after the first answer, with 1,000 idle connections
that are kept alive after an answer each, and with 256 instances that wait in the middle of a
request's body.
"""
import argparse, contextlib, os, re, signal, socket, subprocess, sys, tempfile, time

here = os.path.dirname(os.path.abspath(__file__))
ap = argparse.ArgumentParser()
ap.add_argument('--trampette', default=os.path.join(here, '../target/release/trampette'))
ap.add_argument('--peer', default='wasmtime')
ap.add_argument('--seconds', type=int, default=5)
ap.add_argument('--connections', type=int, default=64)
ap.add_argument('--only', default='')
ap.add_argument('--guests')
ap.add_argument('--memory', action='store_true')
a = ap.parse_args()
corpus = os.path.join(os.environ.get('TRAMPETTE_SUITES', os.path.join(here, '../../shared')), 'corpus')

ECHO = """wrk.method = "POST"
wrk.body = '{"x":"' .. string.rep("0123456789", 1023) .. '"}'
wrk.headers["content-type"] = "application/json"
"""
CASES = [
    ('minimal 0.2', 'p2http', '/', None, {}),
    ('minimal 0.3', 'p3http', '/', None, {}),
    # The peer lets an instance of 0.3 serve many requests by itself.
    ('minimal 0.3, reuse', 'p3http', '/', None, {'ours': ['--reuse', '128']}),
    ('echo 10 KiB 0.2', 'p2http', '/echo', ECHO, {}),
    ('echo 10 KiB 0.3', 'p3http', '/echo', ECHO, {}),
    ('echo 0.3, reuse', 'p3http', '/echo', ECHO, {'ours': ['--reuse', '128']}),
    ('JavaScript', 'js', '/', None, {'connections': 16}),
    ('JavaScript echo', 'js', '/echo', ECHO, {'connections': 16}),
    ('Python', 'py', '/', None, {'connections': 16}),
    ('Python echo', 'py', '/echo', ECHO, {'connections': 16}),
    ('10 MiB 0.2', 'p2http', '/big?n=10485760', None, {'connections': 4}),
    ('10 MiB 0.3', 'p3http', '/big?n=10485760', None, {'connections': 4}),
]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def compiled(name, by, folder):
    out = os.path.join(folder, f'{name}.{by}')
    wasm = os.path.join(corpus if name.endswith('http') else a.guests, f'{name}.wasm')
    if by == 'ours':
        subprocess.run([a.trampette, 'compile', wasm, '-o', out], check=True)
    else:
        subprocess.run([a.peer, 'compile', '-W', 'component-model-async=y', wasm, '-o', out], check=True)
    return out


def command(artifact, by, port, options):
    if by == 'ours':
        return [a.trampette, 'serve', '--precompiled', *options.get('ours', []), '--addr', f'127.0.0.1:{port}',
                artifact]
    return [a.peer, 'serve', '--allow-precompiled', '-W', 'component-model-async=y', '-S', 'p3,cli',
            '--addr', f'127.0.0.1:{port}', artifact]


@contextlib.contextmanager
def serving(artifact, by, options):
    """A server and its port, until it is not needed any more."""
    port = free_port()
    server = subprocess.Popen(command(artifact, by, port, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield server, port
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def kept(server, what):
    """A figure of a process's memory, in MiB."""
    return int(re.search(what + r':\s+(\d+)', open(f'/proc/{server.pid}/status').read())[1]) / 1024


def resident(server):
    """Resident memory in MiB, and that part of it which is no file's and shared with nobody."""
    return kept(server, 'VmRSS'), kept(server, 'RssAnon')


def answered(connection):
    """Waits for the whole of a short answer on a connection."""
    text = b''
    while not (b'\r\n\r\n' in text and (text.endswith(b'0\r\n\r\n') or b'hello from' in text.partition(b'\r\n\r\n')[2])):
        part = connection.recv(4096)
        if not part:
            raise EOFError(text)
        text += part
    if b' 200 ' not in text.split(b'\r\n', 1)[0]:
        raise ValueError(text)


def memory(artifact, by, options):
    """Resident memory after an answer, with idle connections, and with busy instances."""
    figures = []
    with serving(artifact, by, options) as (server, port):
        def connect(request):
            connection = socket.create_connection(('127.0.0.1', port), 10)
            connection.settimeout(10)
            connection.sendall(request)
            return connection
        get = b'GET / HTTP/1.1\r\nhost: a\r\n\r\n'
        answered(connect(get))
        figures.append(resident(server))
        idle = [connect(get) for _ in range(1000)]
        for connection in idle:
            answered(connection)
        time.sleep(0.5)
        figures.append(resident(server))
        for connection in idle:
            connection.close()
    with serving(artifact, by, options) as (server, port):
        answered(connect(get))
        busy = [connect(b'POST /hash HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nabc') for _ in range(256)]
        time.sleep(1.5)
        figures.append(resident(server))
        for connection in busy:
            connection.close()
    return figures


def run(case, artifact, by, folder):
    name, _, path, script, options = case
    with serving(artifact, by, options) as (server, port):
        wrk = ['wrk', '-t2', '--latency', '-c', str(options.get('connections', a.connections))]
        if script:
            file = os.path.join(folder, 'script.lua')
            open(file, 'w').write(script)
            wrk += ['-s', file]
        url = f'http://127.0.0.1:{port}{path}'
        subprocess.run([*wrk, '-d1s', url], stdout=subprocess.DEVNULL)
        text = subprocess.run([*wrk, f'-d{a.seconds}s', url], capture_output=True, text=True).stdout
        peak = kept(server, 'VmHWM')
    rate = float(re.search(r'Requests/sec:\s+([\d.]+)', text)[1])
    tail = re.search(r'99%\s+([\d.]+)(us|ms|s)', text)
    tail = float(tail[1]) * {'us': 1e-3, 'ms': 1, 's': 1e3}[tail[2]]
    errors = re.search(r'Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)', text)
    return rate, tail, peak, errors[0] if errors else ''


def compared(folder):
    """Requests a second, of each case."""
    artifacts = {}
    print(f'{"case":18} {"ours req/s":>11} {"p99 ms":>8} {"MiB":>5} {"peer req/s":>11} {"p99 ms":>8} {"MiB":>5} {"ratio":>7}')
    for case in CASES:
        if a.only not in case[0] or not (a.guests or case[1].endswith('http')):
            continue
        results = []
        for by in ('ours', 'peer'):
            key = case[1], by
            if key not in artifacts:
                artifacts[key] = compiled(*key, folder)
            results.append(run(case, artifacts[key], by, folder))
        (r1, t1, m1, e1), (r2, t2, m2, e2) = results
        print(f'{case[0]:18} {r1:11.0f} {t1:8.2f} {m1:5.0f} {r2:11.0f} {t2:8.2f} {m2:5.0f} {r1 / r2 if r2 else 0:7.2f} {e1} {e2}', flush=True)


def kept_by_both(folder):
    """Memory, of each component."""
    print(f'{"MiB resident":24} {"one answer":>13} {"1,000 idle":>13} {"256 busy":>13}')
    for name in ('p2http', 'p3http'):
        if a.only not in name:
            continue
        for by in ('ours', 'peer'):
            figures = memory(compiled(name, by, folder), by, {})
            print(f'{name + ", " + by:24} ' + ' '.join(f'{all:6.1f}/{own:6.1f}' for all, own in figures), flush=True)


with tempfile.TemporaryDirectory() as folder:
    kept_by_both(folder) if a.memory else compared(folder)
