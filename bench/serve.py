#!/usr/bin/env python3
"""Serve the same components with trampette and with the peer, under the same load.

usage: bench/serve.py [--trampette target/release/trampette] [--peer wasmtime] [--seconds 5]
                      [--connections 64] [--only NAME]

It takes `wrk`, the peer's command line (wasmtime, of any package) and the corpus (`p2http.wasm`,
`p3http.wasm`), which lies beside the repository or where TRAMPETTE_SUITES says. Each line is one
case: requests a second and the 99th percentile, of both, and the ratio. A case that the peer
cannot serve, or where answers are errors, is said to be.
"""
import argparse, os, re, signal, socket, subprocess, sys, tempfile, time

here = os.path.dirname(os.path.abspath(__file__))
ap = argparse.ArgumentParser()
ap.add_argument('--trampette', default=os.path.join(here, '../target/release/trampette'))
ap.add_argument('--peer', default='wasmtime')
ap.add_argument('--seconds', type=int, default=5)
ap.add_argument('--connections', type=int, default=64)
ap.add_argument('--only', default='')
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
    ('10 MiB 0.2', 'p2http', '/big?n=10485760', None, {'connections': 4}),
    ('10 MiB 0.3', 'p3http', '/big?n=10485760', None, {'connections': 4}),
]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def compiled(name, by, folder):
    out = os.path.join(folder, f'{name}.{by}')
    wasm = os.path.join(corpus, f'{name}.wasm')
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


def run(case, artifact, by, folder):
    name, _, path, script, options = case
    port = free_port()
    server = subprocess.Popen(command(artifact, by, port, options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(('127.0.0.1', port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        wrk = ['wrk', '-t2', '--latency', '-c', str(options.get('connections', a.connections))]
        if script:
            file = os.path.join(folder, 'script.lua')
            open(file, 'w').write(script)
            wrk += ['-s', file]
        url = f'http://127.0.0.1:{port}{path}'
        subprocess.run([*wrk, '-d1s', url], stdout=subprocess.DEVNULL)
        text = subprocess.run([*wrk, f'-d{a.seconds}s', url], capture_output=True, text=True).stdout
        memory = int(re.search(r'VmHWM:\s+(\d+)', open(f'/proc/{server.pid}/status').read())[1]) // 1024
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
    rate = float(re.search(r'Requests/sec:\s+([\d.]+)', text)[1])
    tail = re.search(r'99%\s+([\d.]+)(us|ms|s)', text)
    tail = float(tail[1]) * {'us': 1e-3, 'ms': 1, 's': 1e3}[tail[2]]
    errors = re.search(r'Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)', text)
    return rate, tail, memory, errors[0] if errors else ''


with tempfile.TemporaryDirectory() as folder:
    artifacts = {}
    print(f'{"case":18} {"ours req/s":>11} {"p99 ms":>8} {"MiB":>5} {"peer req/s":>11} {"p99 ms":>8} {"MiB":>5} {"ratio":>7}')
    for case in CASES:
        if a.only not in case[0]:
            continue
        results = []
        for by in ('ours', 'peer'):
            key = case[1], by
            if key not in artifacts:
                artifacts[key] = compiled(*key, folder)
            results.append(run(case, artifacts[key], by, folder))
        (r1, t1, m1, e1), (r2, t2, m2, e2) = results
        print(f'{case[0]:18} {r1:11.0f} {t1:8.2f} {m1:5} {r2:11.0f} {t2:8.2f} {m2:5} {r1 / r2 if r2 else 0:7.2f} {e1} {e2}', flush=True)
