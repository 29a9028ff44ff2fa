"""Runs scripts of the model on the specification's own definitions.

Reads runs from standard input and writes each one's trace to standard output. A run is
    run <cancel rule> <host time>
    answers <number>...
    <the script>
    .
and its trace ends with a line `.`, too. The folder of `definitions.py` is the first argument.

The definitions are used as they are, but for three things that they leave to whoever runs them:
choices (`random`) are answered from the list; threads of the operating system pass on exceptions
and end when a run is over; and numbers are given to tasks, threads and waitables, so that both sides
list candidates in the same order. `cancel own` replaces `Task.request_cancellation` by what #726 says.
"""

import __future__
import os
import sys
import threading
import traceback
import types

def load(folder):
  """The definitions, whose annotations name what is defined only later."""
  path = os.path.join(folder, 'definitions.py')
  with open(path, encoding = 'utf-8') as file:
    code = compile(file.read(), path, 'exec', __future__.annotations.compiler_flag)
  module = types.ModuleType('definitions')
  module.__file__ = path
  sys.modules['definitions'] = module
  exec(code, module.__dict__)
  return module

d = load(sys.argv[1])

LOCALS, GLOBALS, MOST_TASKS = 6, 4, 64


class Over(BaseException):
  """Ends the threads of a run."""


class Ended(BaseException):
  """Ends a run, with a last line."""


class Mismatch(Exception):
  """The run asks something else than the list answers."""


class Run:
  """What the patches need to know of the run that is going on."""
  def __init__(self, answers, rule, host_time):
    self.answers, self.at, self.rule, self.host_time = answers, 0, rule, host_time
    self.trace, self.serial, self.tasks, self.threads = [], 0, 0, 0
    self.over, self.conts, self.forced, self.barriers = False, [], None, []

  def tell(self, line):
    self.trace.append(line)

  def choose(self, count):
    if count <= 1:
      return 0
    if self.at == len(self.answers):
      raise Mismatch(f'a question too many, of {count}')
    number, of = self.answers[self.at]
    self.at += 1
    if of != count:
      raise Mismatch(f'question {self.at - 1} is of {count}, not of {of}')
    return number


run = None

### Threads of the operating system

def cont_new(f):
  cont = d.Continuation()
  cont.lock = d.new_already_acquired_lock()
  mine = run
  mine.conts.append(cont)
  def base():
    cont.lock.acquire()
    if mine.over:
      return
    d.thread_local_handler.value = cont.handler
    error, switch_to = None, None
    try:
      switch_to = f()
    except Over:
      return
    except BaseException as e:
      error = e
    handler = d.thread_local_handler.value
    handler.cont, handler.switch_to, handler.error = None, switch_to, error
    handler.lock.release()
  threading.Thread(target = base, daemon = True).start()
  return cont

def resume(cont, current_thread):
  told(current_thread)
  handler = d.Handler()
  handler.lock = d.new_already_acquired_lock()
  handler.current_thread, handler.error = current_thread, None
  cont.handler = handler
  cont.lock.release()
  handler.lock.acquire()
  if run.over:
    raise Over()
  if handler.error is not None:
    raise handler.error
  return (handler.cont, handler.switch_to)

def told(thread):
  """What the observer sees of a resumption, before the thread runs."""
  if thread.started:
    run.tell(f'{thread.label} wake')
  thread.started = True

def suspend(switch_to):
  mine = run
  mine.tell(f'{d.current_thread().label} block')
  cont = d.Continuation()
  cont.lock = d.new_already_acquired_lock()
  mine.conts.append(cont)
  handler = d.thread_local_handler.value
  handler.cont, handler.switch_to = cont, switch_to
  handler.lock.release()
  cont.lock.acquire()
  if mine.over:
    raise Over()
  d.thread_local_handler.value = cont.handler

def release_all(finished):
  finished.over = True
  for cont in finished.conts:
    if cont.lock.locked():
      try:
        cont.lock.release()
      except RuntimeError:
        pass

d.cont_new, d.resume, d.suspend = cont_new, resume, suspend

### Numbers

def after(cls, name, then):
  old = getattr(cls, name)
  def new(self, *args, **kwargs):
    result = old(self, *args, **kwargs)
    then(self)
    return result
  setattr(cls, name, new)

def ours(task):
  """Whether it is no destructor's task."""
  return hasattr(task.opts, 'function')

def number_task(task):
  if not ours(task):
    return
  if run.tasks == MOST_TASKS:
    raise Ended('limit')
  task.number, run.tasks, task.made = run.tasks, run.tasks + 1, 0
  task.frame, task.function, task.told = None, task.opts.function, False

def number_thread(thread):
  thread.number, run.threads, thread.started = run.threads, run.threads + 1, False
  if not ours(thread.task):
    return
  if thread.task.made == 0 and not hasattr(thread.task, 'first'):
    thread.task.first = thread
    thread.label = f't{thread.task.number}'
    run.tell(f'{thread.label} made f{thread.task.function.number}')
  else:
    thread.task.made += 1
    thread.label = f't{thread.task.number}.{thread.task.made}'

def number_waitable(waitable):
  run.serial += 1
  waitable.number = run.serial

after(d.Task, '__init__', number_task)
after(d.Thread, '__init__', number_thread)
after(d.Waitable, '__init__', number_waitable)
after(d.Task, 'return_', lambda task: ours(task) and run.tell(f't{task.number} resolve returned'))
after(d.Task, 'cancel', lambda task: run.tell(f't{task.number} resolve cancelled'))

### Choices

class Random:
  def choice(self, candidates):
    candidates.sort(key = lambda thread: thread.number)
    if run.forced is not None:
      forced, run.forced = run.forced, None
      return candidates[forced]
    frame = sys._getframe(1)
    if frame.f_code.co_name == 'canon_lift' and frame.f_locals['task'] not in run.barriers:
      # Before a barrier resumes its first thread.
      run.barriers.append(frame.f_locals['task'])
      complete_imports()
      candidates = [t for t in frame.f_locals['inst'].threads if t.ready()]
      candidates.sort(key = lambda thread: thread.number)
    return candidates[run.choose(len(candidates))]

  def randint(self, low, high):
    assert (low, high) == (0, 1)
    return run.choose(2)

  def shuffle(self, elems):
    elems.sort(key = lambda waitable: waitable.number)
    pending = [w for w in elems if w.has_pending_event()]
    chosen = pending[run.choose(len(pending))]
    elems.remove(chosen)
    elems.insert(0, chosen)

d.random = Random()
d.DETERMINISTIC_PROFILE = False

### Cancellation as #726 has it

asks_all = d.Task.request_cancellation

def request_cancellation(self):
  if run.rule == 'any' or self.state == d.Task.State.INITIAL:
    return asks_all(self)
  assert(self.state == d.Task.State.STARTED)
  self.state = d.Task.State.PENDING_CANCEL
  condition = self.implicit_thread.ready_func
  parked = condition is not None and condition.__qualname__ in (
    'canon_lift.<locals>.thread_func.<locals>.<lambda>',
    'WaitableSet.wait_from_callback.<locals>.ready')
  if parked and self.implicit_thread.ready():
    self.implicit_thread.resume()

d.Task.request_cancellation = request_cancellation

### The host may complete calls of its functions while a synchronously typed call waits

def complete_imports():
  while run.host_time == 'barriers':
    later = run.script.host.later()
    choice = run.choose(1 + len(later))
    if choice == 0:
      break
    run.script.host.complete(later[choice - 1], [])

resumes = d.Thread.resume

def thread_resume(self):
  frame = sys._getframe(1)
  barrier = frame.f_code.co_name == 'canon_lift' and 'candidates' in frame.f_locals
  resumes(self)
  if barrier:
    complete_imports()

d.Thread.resume = thread_resume

### Copies

for cls in (d.ReadableGuestBuffer,):
  read = cls.read
  def told_read(self, n, read = read):
    run.tell(f'copy {n}')
    return read(self, n)
  cls.read = told_read

### Scripts

class Function:
  pass

class Script:
  def __init__(self, lines):
    self.imports, self.functions, self.threads, self.ops = [], [], [], []
    into = None
    for line in lines:
      words = [w for w in line.split() if w != '->']
      if not words:
        continue
      match words[0]:
        case 'element':
          self.element = {'unit': None, 'u32': d.U32Type(), 'char': d.CharType()}[words[1]]
        case 'import':
          self.imports.append(words[1])
        case 'function':
          f = Function()
          f.number = len(self.functions)
          f.instance, f.lift, f.typed = int(words[1]), words[2], words[3]
          f.param, f.result, f.body, f.post = words[4], words[5], [], []
          self.functions.append(f)
          into = f.body
        case 'post':
          into = self.functions[-1].post
        case 'thread':
          into = []
          self.threads.append(into)
        case 'host':
          into = self.ops
        case _:
          into.append((line.strip(), words))
    self.resource = d.ResourceType(None)
    self.stream, self.future = d.StreamType(self.element), d.FutureType(self.element)
    self.store = d.Store()
    self.resource.impl = d.ComponentInstance(self.store)
    self.instances = []
    for _ in range(1 + max(f.instance for f in self.functions)):
      instance = d.ComponentInstance(self.store)
      instance.memory = d.MemInst(bytearray(1 << 14), 'i32')
      instance.top = 0
      instance.globals = allocate(instance, GLOBALS)
      instance.event = allocate(instance, 2)
      instance.buffer = allocate(instance, 64)
      instance.functions = d.Table()
      self.instances.append(instance)
    for f in self.functions:
      self.lift(f)
    self.host = Host(self)

  def types(self, word):
    return {'none': [], 'stream': [self.stream], 'future': [self.future],
            'borrow': [d.BorrowType(self.resource)]}[word]

  def lift(self, f):
    f.inst = self.instances[f.instance]
    f.ft = d.FuncType(self.types(f.param), self.types(f.result), async_ = f.typed == 'async')
    # `FuncType.result` is what `task.return` compares.
    f.opts = d.CanonicalOptions(memory = f.inst.memory, async_ = f.lift != 'sync')
    f.opts.function = f
    if f.lift == 'callback':
      f.opts.callback = lambda args: callback(self, f, args)
    if f.post:
      f.opts.post_return = lambda flat: Body(self, f.post, 'post@', None).run() and []
    f.func = self.store.lift(lambda args: core(self, f, args), f.ft, f.opts, f.inst)

def allocate(instance, words):
  start = instance.top
  instance.top += 4 * words
  return start

def read_word(instance, at):
  return int.from_bytes(instance.memory.bytes[at:at + 4], 'little')

def write_word(instance, at, value):
  instance.memory.bytes[at:at + 4] = value.to_bytes(4, 'little')

def core(script, f, args):
  task = d.current_task()
  task.frame = allocate(f.inst, LOCALS)
  if args:
    write_word(f.inst, task.frame, args[0])
  run.tell(f'{d.current_thread().label} start')
  task.body = Body(script, f.body, '@', f)
  return task.body.run()

def callback(script, f, args):
  task = d.current_task()
  run.tell(f'{d.current_thread().label} callback {event(*args)}')
  if args[0] == d.EventCode.TASK_CANCELLED:
    task.told = True
  return task.body.run()

STATES = ['starting', 'started', 'returned', 'cancelled-before-started', 'cancelled-before-returned']
RESULTS = ['completed', 'dropped', 'cancelled']

def copied(kind, packed):
  if kind == 'future':
    return RESULTS[packed]
  return f'{RESULTS[packed & 15]} {packed >> 4}'

def event(code, p1, p2):
  match code:
    case d.EventCode.NONE:
      return 'none'
    case d.EventCode.TASK_CANCELLED:
      return 'task-cancelled'
    case d.EventCode.SUBTASK:
      return f'subtask {p1} {STATES[p2]}'
    case _:
      kind, verb = d.EventCode(code).name.lower().split('_')
      return f'{kind}-{verb} {p1} {copied(kind, p2)}'

class Stop(Exception):
  """A body returns."""
  def __init__(self, values):
    self.values = values

# How many operands of an operation are handles; it is skipped if one of them is 0.
HANDLES = { 'code.wait': 1, 'set.wait': 1, 'set.poll': 1, 'set.drop': 1, 'leave': 1, 'join': 2,
            'subtask.cancel.sync': 1, 'subtask.cancel.async': 1, 'subtask.drop': 1,
            'resource.drop': 1 }

def handles(script, words):
  name = words[0]
  if name in ('call.sync', 'call.async'):
    takes = words[1][0] == 'f' and script.functions[int(words[1][1:])].param != 'none'
    return words[2:3] if takes else []
  if name.startswith(('stream.', 'future.')):
    count = 0 if name.endswith('.new') else 2 if name.endswith('.forward') else 1
  elif name.startswith('thread.') and name != 'thread.new' and name != 'thread.index':
    count = len(words) - 1
  else:
    count = HANDLES.get(name, 0)
  return words[1:1 + count]

class Body:
  """A body that runs; one with a callback goes on where it was."""
  def __init__(self, script, ops, place, function):
    self.script, self.ops, self.place, self.function, self.at = script, ops, place, function, 0

  def run(self):
    lift = self.function.lift if self.function else None
    label = d.current_thread().label
    while self.at < len(self.ops):
      line, words = self.ops[self.at]
      self.inst, self.task = d.current_instance(), d.current_task()
      if any(self.load(slot) == 0 for slot in handles(self.script, words)):
        values, answer = None, ': skipped'
      elif words[0].startswith('code.') or lift == 'sync' and words[0] in ('return', 'finish'):
        values = self.code(words)
        answer = ''
      else:
        values, answer = None, self.operate(words)
      run.tell(f'{label} {self.place}{self.at} {line}{answer}')
      self.at += 1
      if values is not None:
        break
    else:
      values = [] if lift != 'callback' else [0]
      if lift == 'sync' and self.function.result != 'none':
        values = [0]
    if self.place == '@' and (lift != 'callback' or values == [0]):
      run.tell(f'{label} exit')
    return values

  def code(self, words):
    match words[0]:
      case 'code.exit':
        return [0]
      case 'code.yield':
        return [1]
      case 'code.wait':
        return [2 | (self.load(words[1]) << 4)]
      case 'code.bad':
        return [int(words[1])]
      case _:
        return [] if self.function.result == 'none' else [self.load(words[1])]

  def address(self, slot):
    base = self.task.frame if slot[0] == 'l' else self.inst.globals
    return base + 4 * int(slot[1:])

  def load(self, slot):
    return read_word(self.inst, self.address(slot))

  def save(self, slot, value):
    write_word(self.inst, self.address(slot), value)
    return f': {value}'

  def operate(self, words):
    """Calls the built-in, and gives its answer."""
    script, memory = self.script, self.inst.memory
    name, operands = words[0], words[1:]
    number = lambda i: self.load(operands[i])
    match name:
      case 'call.sync' | 'call.async':
        return self.call(name, operands)
      case 'return':
        return self.finish(operands[0])
      case 'finish':
        if self.task.told:
          d.canon_task_cancel()
          return ''
        return self.finish(operands[0])
      case 'task.cancel':
        d.canon_task_cancel()
        return ''
      case 'unreachable':
        d.trap()
      case 'set.new':
        return self.save(operands[0], d.canon_waitable_set_new()[0])
      case 'set.wait' | 'set.poll':
        builtin = d.canon_waitable_set_wait if name == 'set.wait' else d.canon_waitable_set_poll
        [code] = builtin(memory, number(0), self.inst.event)
        p1, p2 = (read_word(self.inst, self.inst.event + 4 * i) for i in (0, 1))
        return f': {event(code, p1, p2)}'
      case 'set.drop':
        d.canon_waitable_set_drop(number(0))
        return ''
      case 'join':
        d.canon_waitable_join(number(0), number(1))
        return ''
      case 'leave':
        d.canon_waitable_join(number(0), 0)
        return ''
      case 'subtask.cancel.sync' | 'subtask.cancel.async':
        [state] = d.canon_subtask_cancel(name.endswith('.async'), number(0))
        return ': blocked' if state == d.BLOCKED else f': {STATES[state]}'
      case 'subtask.drop':
        d.canon_subtask_drop(number(0))
        return ''
      case 'backpressure.inc':
        d.canon_backpressure_inc()
        return ''
      case 'backpressure.dec':
        d.canon_backpressure_dec()
        return ''
      case 'context.set':
        d.canon_context_set('i32', 1, int(operands[0]))
        return ''
      case 'context.get':
        return f': {d.canon_context_get("i32", 1)[0]}'
      case 'resource.new':
        return self.save(operands[0], d.canon_resource_new(script.resource, 1)[0])
      case 'resource.drop':
        d.canon_resource_drop(script.resource, number(0))
        return ''
      case 'let':
        self.save(operands[1], int(operands[0]))
        return ''
      case 'move':
        self.save(operands[1], number(0))
        return ''
      case 'thread.index':
        return self.save(operands[0], d.canon_thread_index()[0])
      case 'thread.new':
        return self.save(operands[1], self.thread_new(int(operands[0][1:])))
      case 'thread.resume-later':
        d.canon_thread_resume_later(number(0))
        return ''
      case 'thread.suspend':
        return f': {d.canon_thread_suspend()[0]}'
      case 'thread.yield':
        return f': {d.canon_thread_yield()[0]}'
      case _ if name.startswith('thread.'):
        builtin = getattr(d, 'canon_' + name.replace('.', '_').replace('-', '_'))
        return f': {builtin(number(0))[0]}'
      case _:
        return self.end_operation(name, operands, number)

  def end_operation(self, name, operands, number):
    kind, verb, *mode = name.split('.')
    t = getattr(self.script, kind)
    opts = d.CanonicalOptions(memory = self.inst.memory, async_ = mode == ['async'])
    builtin = getattr(d, f'canon_{kind}_{verb.replace("-", "_")}')
    match verb:
      case 'new':
        [packed] = builtin(t)
        reader, writer = packed & 0xffffffff, packed >> 32
        self.save(operands[0], reader)
        self.save(operands[1], writer)
        return f': {reader} {writer}'
      case 'read' | 'write':
        length = [int(operands[1])] if kind == 'stream' else []
        [packed] = builtin(t, opts, number(0), self.inst.buffer, *length)
      case 'cancel-read' | 'cancel-write':
        [packed] = builtin(t, opts.async_, number(0))
      case 'forward':
        builtin(t, number(0), number(1))
        return ''
      case _:
        builtin(t, number(0))
        return ''
    return ': blocked' if packed == d.BLOCKED else f': {copied(kind, packed)}'

  def finish(self, slot):
    # The type and the options are the function's own; only a task without `async` traps for them.
    opts, ft = self.task.opts, self.task.ft
    d.canon_task_return(ft.result, opts, [self.load(slot)] if ft.result else [])
    return ''

  def thread_new(self, body):
    ops, script = self.script.threads[body], self.script
    def callee(args):
      run.tell(f'{d.current_thread().label} start')
      return Body(script, ops, '@', None).run()
    ft = d.CoreFuncType(['i32'], [])
    index = self.inst.functions.add(d.CoreFuncRef(ft, callee))
    return d.canon_thread_new_indirect(ft, self.inst.functions, index, 0)[0]

  def call(self, name, operands):
    script, inst, task = self.script, self.inst, self.task
    asynchronous = name == 'call.async'
    number = int(operands[0][1:])
    opts = d.CanonicalOptions(memory = inst.memory, async_ = asynchronous)
    if operands[0][0] == 'f':
      f = script.functions[number]
      func, ft, param, result = f.func, f.ft, f.param, f.result
    else:
      func, ft = script.host.function(number), d.FuncType([], [], async_ = True)
      param, result = 'none', 'none'
    args = [self.load(operands[1])] if param != 'none' else []
    if asynchronous and result != 'none':
      args.append(self.address(operands[3]))
    core_func = script.store.lower(func, ft, opts, inst)
    results = core_func(args)
    if not asynchronous:
      return self.save(operands[2], results[0]) if results else ''
    [packed] = results
    if packed == d.Subtask.State.RETURNED:
      return ': returned'
    state, handle = packed & 15, packed >> 4
    self.save(operands[2], handle)
    return f': {STATES[state]} {handle}'

class Host:
  def __init__(self, script):
    self.script, self.calls, self.imports = script, [], []

  def function(self, number):
    kind = self.script.imports[number]
    def func(on_start, on_resolve):
      call = Function()
      call.number, call.kind, call.resolved, call.on_resolve = len(self.imports), kind, False, on_resolve
      self.imports.append(call)
      run.tell(f'p{call.number} call h{number}')
      on_start()
      if kind == 'ready':
        self.complete(call, [])
      return lambda: self.complete(call, None)
    return func

  def complete(self, call, result):
    call.resolved = True
    run.tell(f'p{call.number} {"cancelled" if result is None else "returned"}')
    call.on_resolve(result)

  def later(self):
    return [c for c in self.imports if c.kind == 'later' and not c.resolved]

  def start(self, number):
    f = self.script.functions[number]
    call = Function()
    call.resolved, call.asked, call.result = False, False, None
    run.tell(f'c{len(self.calls)} call f{number}')
    at = len(self.calls)
    self.calls.append(call)
    def on_resolve(result):
      call.resolved = True
      call.result = result[0] if result else None
      run.tell(f'c{at} {"cancelled" if result is None else "returned"}')
    call.cancel = self.script.store.invoke(f.func, lambda: [], on_resolve)
    return call

  def drive(self, call):
    store = self.script.store
    while True:
      ready = [t for t in store.waiting if t.ready()]
      later = self.later()
      stops = call.resolved if call else not ready and not later
      count = len(ready) + len(later) + (1 if stops else 0)
      if count == 0:
        raise Ended('waits' if any(not c.resolved for c in self.imports) else 'trap')
      choice = run.choose(count) - (1 if stops else 0)
      if choice < 0:
        break
      if choice < len(ready):
        run.forced = choice
        store.tick()
      else:
        self.complete(later[choice - len(ready)], [])
    if call and call.result is not None:
      end, call.result = call.result, None
      end.drop()

  def run(self):
    for line, words in self.script.ops:
      number = int(words[1][1:]) if len(words) > 1 else None
      match words[0]:
        case 'call':
          self.drive(self.start(number))
        case 'start':
          self.start(number)
        case 'await':
          self.drive(self.calls[number])
        case 'cancel':
          call = self.calls[number]
          if not call.resolved and not call.asked:
            call.asked = True
            call.cancel()
        case 'drain':
          self.drive(None)

def trap_site(error):
  """The line of the definitions that trapped."""
  site, tb = None, error.__traceback__
  while tb:
    if tb.tb_frame.f_code.co_filename == d.__file__ and tb.tb_frame.f_code.co_name not in ('trap_if', 'trap'):
      site = tb.tb_lineno
    tb = tb.tb_next
  return site

def main():
  global run
  lines = iter(sys.stdin.read().splitlines())
  out = []
  for header in lines:
    _, rule, host_time = header.split()
    answers = [tuple(map(int, word.split('/'))) for word in next(lines).split()[1:]]
    text = []
    for line in lines:
      if line == '.':
        break
      text.append(line)
    run = Run(answers, rule, host_time)
    try:
      run.script = Script(text)
      run.script.host.run()
      run.tell('end')
    except d.Trap as error:
      run.tell(f'trap {trap_site(error)}')
    except Ended as error:
      run.tell(str(error))
    except Mismatch as error:
      run.tell(f'mismatch: {error}')
    except Exception as error:
      run.tell(f'error: {traceback.format_exc()}')
    if run.at < len(run.answers):
      run.tell(f'only {run.at} answers were asked for')
    release_all(run)
    out += run.trace + ['.']
  sys.stdout.write('\n'.join(out) + '\n')
  sys.stdout.flush()
  os._exit(0)

main()
