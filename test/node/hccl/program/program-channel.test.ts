/**
 * A program's channel on shared memory: what it runs itself, what the host is asked, in which order. The host
 * is a script; the other rank is driven where a real one would run, while this one sleeps.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { defined } from '../../../../common/assert.ts';
import { programChannel } from '../../../../node/hccl/program/program-channel.ts';
import { ProgramFault } from '../../../../node/hccl/program/program-fault.ts';
import type { ProgramOperation } from '../../../../node/hccl/program/program-operation.ts';
import { MAILBOX_OPERAND_BYTES } from '../../../../node/hccl/shared/mailbox.ts';
import {
  type SystemCallChannel,
  SystemCallError,
  type SystemCallValue,
} from '../../../../node/process/system-call.ts';
import { COUNT, Script } from '../shared/shared-script.ts';

const STREAM = 5;

let script: Script;
let program: SystemCallChannel;
beforeEach(() => {
  script = new Script();
  program = programChannel(script.channel, script.machine);
  script.input(0).fill(1);
  script.input(1).fill(2);
});

function callOf(comm: number, more: object = {}) {
  const operand = { sendBuffer: 1, recvBuffer: 2, count: COUNT, dataType: 7, reduceOp: 0 };
  return { ...operand, comm, stream: 0, ...more };
}

function reduce(comm = 10, more: object = {}): Promise<SystemCallValue> {
  return program.call('hcclAllReduce', callOf(comm, more) as SystemCallValue);
}

function synchronize(stream?: number): Promise<SystemCallValue> {
  return program.call('synStreamSynchronize', stream === undefined ? { stream: 0 } : { stream });
}

async function open(comm: number): Promise<void> {
  script.answers.set('hcclCommInitRank', comm);
  expect(await program.call('hcclCommInitRank', {})).toBe(comm);
}

/** The other rank makes so many calls, one after the other. */
async function peerCalls(calls: number, count = COUNT): Promise<ProgramOperation[]> {
  const comm = await script.peer();
  const operations: ProgramOperation[] = [];
  for (let call = 0; call < calls; call++) {
    const operation = await comm.prepared('hcclAllReduce', callOf(11, { count }) as never);
    operations.push(defined(operation, 'an operation'));
  }
  const ended: ProgramOperation[] = [];
  script.other = () => {
    const next = operations[0];
    try {
      if (next === undefined || !comm.runner.advance(next)) return;
      ended.push(operations.shift() as ProgramOperation);
    } catch (reason) {
      if (!(reason instanceof ProgramFault)) throw reason;
      operations.length = 0;
    }
  };
  return ended;
}

function failure(message: string): SystemCallError {
  return new SystemCallError({ family: 'hccl', code: 'hcclInternalError', message } as never);
}

describe('a program whose thread runs collectives', () => {
  it('runs a call itself; one that it knows without a word to the host', async () => {
    await open(10);
    await peerCalls(3);
    await reduce();
    await synchronize();
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
    const asked = ['hcclCommInitRank', 'hcclProgramPlaces', 'hcclProgramPrepare'];
    expect(script.log).toEqual(asked);
    for (let call = 0; call < 2; call++) {
      script.input(0).fill(call);
      await reduce();
      await synchronize();
      expect(script.output(0)).toEqual(Array(COUNT).fill(2 + call));
    }
    expect(script.log).toEqual(asked);
  });

  it('goes on with a call while it does something else', async () => {
    await open(10);
    await peerCalls(1);
    await reduce();
    await expect.poll(() => script.output(0)).toEqual([3, 3, 3, 3]);
  });

  it('gives its core away some times, where ranks outnumber cores, and then sleeps', async () => {
    await open(10);
    await peerCalls(2);
    await reduce();
    await synchronize();
    expect(script.sleeps).toBeGreaterThan(0);
    expect(script.yields).toBe(100 * script.sleeps);
    [script.sleeps, script.atYield] = [0, () => script.other()];
    await reduce();
    await synchronize();
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
    expect(script.sleeps).toBe(0);
  });

  it('asks again when memory of its own has gone', async () => {
    await open(10);
    await peerCalls(2);
    await reduce();
    await synchronize();
    script.world.rank(0).control.nextEpoch();
    await reduce();
    await synchronize();
    expect(script.log.filter((name) => name === 'hcclProgramPrepare')).toHaveLength(2);
  });

  it('gives the host what it cannot run, after what it has queued before', async () => {
    await open(10);
    const ended = await peerCalls(1);
    await reduce();
    script.answers.set('hcclAlltoAll', null);
    await program.call('hcclAlltoAll', { comm: 10, stream: 0 });
    expect(ended).toHaveLength(1);
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
    await synchronize();
    expect(script.log.slice(-2)).toEqual(['hcclAlltoAll', 'synStreamSynchronize']);
  });

  it('queues nothing on a stream before the host is done there', async () => {
    await open(10);
    await peerCalls(1);
    let release: (value: null) => void = () => undefined;
    await program.call('hcclRecv', { comm: 10, stream: 0 });
    script.answers.set(
      'synStreamSynchronize',
      new Promise<null>((resolve) => {
        release = resolve;
      }),
    );
    const called = reduce();
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(script.output(0)).toEqual([0, 0, 0, 0]);
    release(null);
    await called;
    await synchronize();
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
  });

  it('gives the host a call that the host wants, and waits for that before its own', async () => {
    await open(10);
    await peerCalls(1);
    script.answers.set('hcclProgramPrepare', null);
    await reduce(10, { count: 1 });
    expect(script.log.at(-1)).toBe('hcclAllReduce');
    script.answers.delete('hcclProgramPrepare');
    await reduce();
    expect(script.log.slice(-3)).toEqual([
      'hcclProgramPrepare',
      'hcclProgramIdle',
      'synStreamSynchronize',
    ]);
    await synchronize();
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
  });

  it('says what a call has been run with', async () => {
    await open(10);
    await peerCalls(1);
    await reduce();
    await synchronize();
    const choice = await program.call('hcclCommLastChoice', { comm: 10 });
    expect(choice).toEqual({
      collective: 'allReduce',
      algorithm: 'mailbox',
      channels: 1,
      sliceBytes: MAILBOX_OPERAND_BYTES,
    });
  });

  it('hands on calls that have no argument, and all calls of a process without communicators', async () => {
    await program.call('hcclGroupStart', null);
    await open(10);
    for (const name of ['synStreamCreate', 'hcclGroupStart', 'hcclGroupEnd', 'jobBarrier'])
      await program.call(name, null);
    expect(script.log.slice(-4)).toEqual([
      'synStreamCreate',
      'hcclGroupStart',
      'hcclGroupEnd',
      'jobBarrier',
    ]);
  });

  it('leaves it to the host to refuse a call in a group, when the group ends', async () => {
    await open(10);
    await program.call('hcclGroupStart', null);
    script.answers.set('hcclProgramPrepare', failure('no'));
    await expect(reduce()).resolves.toBe(null);
    expect(script.log.at(-1)).toBe('hcclAllReduce');
    await program.call('hcclGroupEnd', null);
    await expect(reduce()).rejects.toThrow('no');
  });

  it('asks again about a communicator that was still being put together', async () => {
    script.answers.set('hcclProgramPlaces', 'connecting');
    await open(10);
    script.answers.delete('hcclProgramPlaces');
    await peerCalls(1);
    await reduce();
    await synchronize();
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
    expect(script.log).not.toContain('hcclAllReduce');
  });

  it.each(['ws', 'no memory'])('adds nothing where none is shared: %s', async (why) => {
    if (why === 'ws') script.answers.set('hcclProgramPlaces', null);
    else {
      const machine = { ...script.machine, memories: [] };
      program = programChannel(script.channel, machine);
    }
    await open(10);
    await reduce();
    await synchronize();
    expect(script.log.slice(-2)).toEqual(['hcclAllReduce', 'synStreamSynchronize']);
  });
});

describe('what fails in a program on shared memory', () => {
  beforeEach(async () => {
    await open(10);
    script.answers.set('hcclProgramFault', failure('It is broken'));
  });

  it('is told by the next synchronise of the stream, once', async () => {
    await peerCalls(1, COUNT + 1);
    await reduce();
    await expect(synchronize()).rejects.toThrow('It is broken');
    expect(script.log.at(-1)).toBe('hcclProgramFault');
    await synchronize();
    // The communicator is the host's from here on.
    await reduce();
    expect(script.log.slice(-1)).toEqual(['hcclAllReduce']);
  });

  it('is told even if it was found while the program did something else', async () => {
    await peerCalls(1, COUNT + 1);
    await reduce();
    await expect.poll(() => script.log).toContain('hcclProgramFault');
    await expect(synchronize()).rejects.toThrow('It is broken');
  });

  it('is told even if the host has not answered yet what it was', async () => {
    let answer: (reason: Error) => void = () => undefined;
    const asked = new Promise<SystemCallValue>((_, reject) => {
      answer = reject;
    });
    script.answers.set('hcclProgramFault', asked);
    await peerCalls(1, COUNT + 1);
    await reduce();
    await expect.poll(() => script.log).toContain('hcclProgramFault');
    const synchronized = synchronize();
    answer(failure('It is broken'));
    await expect(synchronized).rejects.toThrow('It is broken');
  });

  it('takes with it what was queued behind it', async () => {
    await peerCalls(1, COUNT + 1);
    await reduce();
    await reduce();
    await expect(synchronize()).rejects.toThrow('It is broken');
    await synchronize();
    expect(script.output(0)).toEqual([0, 0, 0, 0]);
  });

  it('is that the communicator was closed', async () => {
    await reduce();
    script.world.rank(0).control.close();
    await expect(synchronize()).rejects.toThrow('It is broken');
  });

  it('is a peer that never comes', async () => {
    await reduce();
    // Each sleep takes 50 ms here.
    script.other = () => {
      script.now += 10_000;
    };
    await expect(synchronize()).rejects.toThrow('It is broken');
  });

  it('is not what was aborted: its calls are dropped', async () => {
    await reduce();
    await program.call('hcclCommAbort', { comm: 10 });
    await synchronize();
    expect(script.log.slice(-2)).toEqual(['hcclCommAbort', 'synStreamSynchronize']);
  });
});

describe('two communicators of one process', () => {
  beforeEach(async () => {
    await open(10);
    await open(11);
    script.answers.set('synStreamCreate', STREAM);
    expect(await program.call('synStreamCreate', null)).toBe(STREAM);
  });

  it('that are ranks of one wait for each other', async () => {
    await reduce(10);
    await reduce(11, { stream: STREAM });
    await synchronize(0);
    expect(script.output(0)).toEqual([3, 3, 3, 3]);
    await synchronize(STREAM);
    expect(script.output(1)).toEqual([3, 3, 3, 3]);
  });

  it('may be driven by two that know nothing of each other', async () => {
    const first = (async () => {
      for (let turn = 0; turn < 3; turn++) {
        await reduce(10);
        await synchronize(0);
      }
    })();
    for (let turn = 0; turn < 3; turn++) {
      // Later than the first has begun to wait.
      for (let pause = 0; pause < 5; pause++) await new Promise((resolve) => setImmediate(resolve));
      await reduce(11, { stream: STREAM });
      await synchronize(STREAM);
    }
    await first;
    expect([script.output(0), script.output(1)]).toEqual([
      Array(COUNT).fill(3),
      Array(COUNT).fill(3),
    ]);
  });

  it('may list their calls one after the other in a group, those of the host among them', async () => {
    await program.call('hcclGroupStart', null);
    for (const [comm, stream] of [
      [10, 0],
      [11, STREAM],
    ] as const) {
      await reduce(comm, { stream });
      await program.call('hcclAlltoAll', { comm, stream });
      // Of one communicator they run in the order of the calls, so this is the host's as well.
      await reduce(comm, { stream });
      expect(script.log.slice(-2)).toEqual(['hcclAlltoAll', 'hcclAllReduce']);
    }
    await program.call('hcclGroupEnd', null);
    expect([script.output(0), script.output(1)]).toEqual([
      Array(COUNT).fill(3),
      Array(COUNT).fill(3),
    ]);
    expect(script.log.at(-1)).toBe('hcclGroupEnd');
  });

  it('give up in time if the other never calls', async () => {
    script.answers.set('hcclProgramFault', failure('It is stuck'));
    script.other = () => {
      script.now += 10_000;
    };
    await reduce(10);
    await expect(synchronize(0)).rejects.toThrow('It is stuck');
  });

  it('one can be aborted while the other waits', async () => {
    let release: (value: null) => void = () => undefined;
    await program.call('hcclAlltoAll', { comm: 10, stream: 0 });
    script.answers.set(
      'synStreamSynchronize',
      new Promise<null>((resolve) => {
        release = resolve;
      }),
    );
    const waiting = synchronize(0);
    await program.call('hcclCommGetAsyncError', { comm: 10 });
    await program.call('hcclCommAbort', { comm: 10 });
    expect(script.log.at(-1)).toBe('hcclCommAbort');
    release(null);
    await waiting;
  });
});
