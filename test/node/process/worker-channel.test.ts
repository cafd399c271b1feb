import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { deferred } from '../../../common/deferred.ts';
import type { HlsimError } from '../../../common/errors.ts';
import { OpenFile } from '../../../node/process/file.ts';
import { SimProcess } from '../../../node/process/sim-process.ts';
import type { SystemCallChannel, SystemCallValue } from '../../../node/process/system-call.ts';
import { isSystemCallValue } from '../../../node/process/system-call-argument.ts';
import { SystemCallTable } from '../../../node/process/system-call-table.ts';
import { PENDING_CALLS_MAX, portChannel, servePort } from '../../../node/process/worker-channel.ts';

const ports: MessagePort[] = [];

afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

interface World {
  readonly table: SystemCallTable;
  readonly process: SimProcess;
  /** The worker's port, for messages that no channel would send. */
  readonly workerPort: MessagePort;
  readonly protocolErrors: HlsimError[];
  /** Settles when the process was ended for what it sent. */
  readonly ended: Promise<void>;
  readonly end: () => void;
}

function world(): World {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  const table = new SystemCallTable();
  table.register('echo', (_, argument) => argument);
  table.register('never', () => new Promise(() => undefined));
  const process = new SimProcess({
    pid: 3,
    containerId: 'c',
    memory: new SharedArrayBuffer(64),
  });
  const protocolErrors: HlsimError[] = [];
  const ended = deferred<void>();
  const end = servePort(port1, table, process, (error) => {
    protocolErrors.push(error);
    ended.resolve();
  });
  return { table, process, workerPort: port2, protocolErrors, ended: ended.promise, end };
}

function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (reason: { code: string }) => reason.code,
  );
}

describe('portChannel() and servePort() over a real MessageChannel', () => {
  it('carry any plain value there and back, many calls at a time', async () => {
    const { workerPort } = world();
    const channel = portChannel(workerPort);
    const values: SystemCallValue[] = [
      ...[undefined, null, true, 0, -1.5, Number.NaN, 'text', '', [], {}],
      { nested: [{ deep: [1, 'two', null] }], bytes: new Uint8Array([1, 2, 3]) },
    ];
    const results = await Promise.all(values.map((value) => channel.call('echo', value)));
    expect(results).toEqual(values);
  });

  it('calls of one turn travel in one message, and so do their answers', async () => {
    const { workerPort } = world();
    const replies = new Promise<unknown>((resolve) => workerPort.once('message', resolve));
    workerPort.postMessage([1, 2].map((id) => ({ id, name: 'echo', argument: 10 * id })));
    expect(await replies).toEqual([
      { id: 1, value: 10 },
      { id: 2, value: 20 },
    ]);
    const { port1, port2 } = new MessageChannel();
    ports.push(port1, port2);
    const requests = new Promise<unknown>((resolve) => port1.once('message', resolve));
    const channel = portChannel(port2);
    for (const value of [1, 2]) channel.call('echo', value).catch(() => undefined);
    expect(await requests).toEqual([
      { id: 1, name: 'echo', argument: 1 },
      { id: 2, name: 'echo', argument: 2 },
    ]);
  });

  it('one bad call among others in a message ends the process', async () => {
    const { workerPort, process, ended } = world();
    workerPort.postMessage([{ id: 1, name: 'echo', argument: 1 }, { id: 'two' }]);
    await ended;
    expect(process.state).toBe('exited');
  });

  it('answers arrive at the call they belong to, whatever the order they end in', async () => {
    const { table, workerPort } = world();
    const gates = [deferred<void>(), deferred<void>()];
    table.register('gate', async (_, index) => {
      await gates[index as number]?.promise;
      return index;
    });
    const channel = portChannel(workerPort);
    const order: unknown[] = [];
    const calls = [0, 1].map((index) =>
      channel.call('gate', index).then((value) => {
        order.push(value);
        if (value === 1) gates[0]?.resolve();
      }),
    );
    gates[1]?.resolve();
    await Promise.all(calls);
    expect(order).toEqual([1, 0]);
  });

  it('failures arrive as SystemCallError with family, code and message', async () => {
    const channel = portChannel(world().workerPort);
    await expect(channel.call('fork', null)).rejects.toMatchObject({
      name: 'SystemCallError',
      family: 'errno',
      code: 'ENOSYS',
      message: 'ENOSYS: Function not implemented: no system call is named fork',
    });
  });

  it('a result that cannot be sent fails its call, and the next call works', async () => {
    const { table, workerPort } = world();
    table.register('bad', () => (() => undefined) as unknown as SystemCallValue);
    const channel = portChannel(workerPort);
    expect(await codeOf(channel.call('bad', null))).toBe('HLSIM_INTERNAL');
    expect(await channel.call('echo', 1)).toBe(1);
  });

  it.each([
    ['a function', () => undefined],
    ['a BigInt in an array', [1, 2n]],
    ['a Date', { when: new Date(0) }],
  ])(
    'EINVAL in the worker for an argument that is no plain value, and the process lives on: %s',
    async (_, bad) => {
      const { process, protocolErrors, workerPort } = world();
      const channel = portChannel(workerPort);
      expect(await codeOf(channel.call('echo', bad as unknown as SystemCallValue))).toBe('EINVAL');
      expect(await channel.call('echo', 2)).toBe(2);
      expect([process.state, protocolErrors]).toEqual(['running', []]);
    },
  );

  it(`EAGAIN at the caller beyond ${PENDING_CALLS_MAX} pending calls`, async () => {
    const { workerPort, process } = world();
    const channel = portChannel(workerPort);
    const pending = Array.from({ length: PENDING_CALLS_MAX }, () =>
      codeOf(channel.call('never', null)),
    );
    expect(await codeOf(channel.call('echo', null))).toBe('EAGAIN');
    process.exit();
    expect(new Set(await Promise.all(pending))).toEqual(new Set(['EINTR']));
  });
});

describe('the end of a process and of its port', () => {
  it.each([
    ['the process ends', ({ process }: World) => process.exit()],
    ['the server is stopped', ({ end }: World) => end()],
    ['the worker closes the port', ({ workerPort }: World) => workerPort.close()],
  ])('pending calls reject with EINTR, later ones with EIO: %s', async (_, finish) => {
    const one = world();
    let released = 0;
    one.process.fds.install(
      one.process.fds.reserve() as number,
      new OpenFile({ kind: 'x', release: () => released++ }),
    );
    const channel: SystemCallChannel = portChannel(one.workerPort);
    const exited = deferred<void>();
    one.process.onExit(() => exited.resolve());
    const pending = codeOf(channel.call('never', null));
    await channel.call('echo', null);
    finish(one);
    expect(await pending).toBe('EINTR');
    expect(await codeOf(channel.call('echo', null))).toBe('EIO');
    await exited.promise;
    expect([one.process.state, released]).toEqual(['exited', 1]);
    expect(one.protocolErrors).toEqual([]);
  });

  it('a worker that dies in the middle of a call ends its process', async () => {
    const { table, process, workerPort } = world();
    const called = deferred<void>();
    table.register('hang', () => {
      called.resolve();
      return new Promise(() => undefined);
    });
    const program = `
      const { workerData } = require('node:worker_threads');
      workerData.port.postMessage({ id: 1, name: 'hang', argument: null });
      workerData.port.on('message', () => undefined);
    `;
    const worker = new Worker(program, {
      eval: true,
      workerData: { port: workerPort },
      transferList: [workerPort],
    });
    const exited = deferred<void>();
    process.onExit(() => exited.resolve());
    await called.promise;
    await worker.terminate();
    await exited.promise;
    expect(process.state).toBe('exited');
  });
});

describe('signals over the port', () => {
  it('reach every listener in the worker; the process lives on', async () => {
    const { process, workerPort } = world();
    const channel = portChannel(workerPort);
    const heard: string[] = [];
    const both = deferred<void>();
    for (const name of ['first', 'second']) {
      channel.onSignal?.((signal) => {
        heard.push(`${name} ${signal}`);
        if (name === 'second') both.resolve();
      });
    }
    process.terminationAction = 'handle';
    process.signal('SIGTERM');
    workerPort.ref();
    await both.promise;
    expect([heard, process.state]).toEqual([['first SIGTERM', 'second SIGTERM'], 'running']);
    expect(await channel.call('echo', 1)).toBe(1);
  });
});

describe('what is not a system call ends the process, never the host', () => {
  it.each([
    ['nothing', undefined],
    ['a number', 5],
    ['a string', 'open'],
    ['no id', { name: 'echo', argument: null }],
    ['a fractional id', { id: 0.5, name: 'echo' }],
    ['a name that is no string', { id: 1, name: {} }],
    ['a name that is too long', { id: 1, name: 'x'.repeat(65) }],
    ['a bigint in the argument', { id: 1, name: 'echo', argument: [1n] }],
    ['a Map in the argument', { id: 1, name: 'echo', argument: new Map() }],
    ['an argument without end', { id: 1, name: 'echo', argument: cyclic() }],
  ])('%s', async (_, message) => {
    const { process, workerPort, protocolErrors, ended } = world();
    workerPort.postMessage(message);
    await ended;
    expect(process.exitStatus).toEqual({ signal: 'SIGKILL' });
    expect(protocolErrors.map(({ code }) => code)).toEqual(['HLSIM_PROTOCOL_ERROR']);
  });

  it('more calls at a time than the channel allows', async () => {
    const { process, workerPort, protocolErrors, ended } = world();
    for (let id = 0; id <= PENDING_CALLS_MAX; id++) {
      workerPort.postMessage({ id, name: 'never', argument: null });
    }
    await ended;
    expect([process.state, protocolErrors.length]).toEqual(['exited', 1]);
  });

  it('any value at all is judged without a crash, within bounded work', () => {
    fc.assert(
      fc.property(fc.anything({ withMap: true, withBigInt: true, withDate: true }), (value) => {
        expect(typeof isSystemCallValue(value)).toBe('boolean');
      }),
    );
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        expect(isSystemCallValue(value)).toBe(true);
      }),
    );
    expect(isSystemCallValue(Array.from({ length: 200_000 }, () => 0))).toBe(false);
  });
});

/** Each level refers to itself many times over: walking it without a bound would not end. */
function cyclic(): unknown[] {
  const value: unknown[] = [];
  for (let index = 0; index < 10; index++) value.push(value);
  return value;
}
