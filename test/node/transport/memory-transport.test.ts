import { describe, expect, it } from 'vitest';
import { Prng } from '../../../common/prng.ts';
import { type Scheduler, VirtualScheduler, wallScheduler } from '../../../common/scheduler.ts';
import { MemoryNetwork, type MemoryNetworkInit } from '../../../node/transport/memory-transport.ts';
import { CONNECT_MS, REDIAL_MS, type Transport } from '../../../node/transport/transport.ts';
import { frame, pattern, RecordingSink, until } from '../../conformance/recording-sink.ts';
import { describeTransport } from '../../conformance/transport.ts';
import type { TransportWorld } from '../../conformance/transport-world.ts';
import { settleOnWallClock } from './wall-clock.ts';

function memoryWorld(
  scheduler: Scheduler,
  settle: TransportWorld['settle'],
  init: Omit<MemoryNetworkInit, 'scheduler'>,
  expectSilence: () => Promise<void>,
): TransportWorld {
  const network = new MemoryNetwork({ scheduler, ...init });
  const [a, b] = [network.transport('a'), network.transport('b')];
  return {
    scheduler,
    a,
    b,
    settle,
    connect: (from, to) => from.connect({ nodeId: to.nodeId, address: to.address }),
    interrupt: () => {
      network.partition('a', 'b');
      network.heal('a', 'b');
    },
    separate: () => network.partition('a', 'b'),
    close: async () => {
      await settle(Promise.all([a.close(), b.close()]));
      await expectSilence();
    },
  };
}

/** No timer is left: the virtual world falls silent without time passing. */
async function expectNoEvent(scheduler: VirtualScheduler): Promise<void> {
  const now = scheduler.clock.now();
  const never = new Promise<void>(() => undefined);
  await expect(scheduler.run(never)).rejects.toThrow('no event is left');
  expect(scheduler.clock.now() - now).toBeLessThanOrEqual(2);
}

describeTransport('memory, virtual clock', (init) => {
  const scheduler = new VirtualScheduler();
  return Promise.resolve(
    memoryWorld(
      scheduler,
      (promise) => scheduler.run(promise),
      init,
      () => expectNoEvent(scheduler),
    ),
  );
});

describeTransport('memory, virtual clock, a real cable', (init) => {
  const scheduler = new VirtualScheduler();
  return Promise.resolve(
    memoryWorld(
      scheduler,
      (promise) => scheduler.run(promise),
      { ...init, latencyMs: 0.5, bandwidthBytesPerMs: 1_000_000 },
      () => expectNoEvent(scheduler),
    ),
  );
});

describeTransport('memory, wall clock', (init) =>
  Promise.resolve(
    memoryWorld(wallScheduler, settleOnWallClock, { ...init, latencyMs: 1 }, () =>
      Promise.resolve(),
    ),
  ),
);

describe('MemoryNetwork', () => {
  interface Pair {
    readonly scheduler: VirtualScheduler;
    readonly network: MemoryNetwork;
    readonly a: Transport;
    readonly b: Transport;
    readonly sinkA: RecordingSink;
    readonly sinkB: RecordingSink;
    wait(condition: () => boolean): Promise<void>;
  }

  async function pair(init: Omit<MemoryNetworkInit, 'scheduler'> = {}): Promise<Pair> {
    const scheduler = new VirtualScheduler();
    const network = new MemoryNetwork({ scheduler, ...init });
    const [a, b] = [network.transport('a'), network.transport('b')];
    const [sinkA, sinkB] = [new RecordingSink(), new RecordingSink()];
    a.attach(sinkA);
    b.attach(sinkB);
    a.connect({ nodeId: 'b', address: b.address });
    b.connect({ nodeId: 'a', address: a.address });
    const wait = (condition: () => boolean) => scheduler.run(until(scheduler, condition));
    await wait(() => sinkA.count('linkUp') === 1 && sinkB.count('linkUp') === 1);
    return { scheduler, network, a, b, sinkA, sinkB, wait };
  }

  it('takes latency plus bytes over bandwidth for a frame, and pipelines the next', async () => {
    const { scheduler, a, sinkB, wait } = await pair({ latencyMs: 5, bandwidthBytesPerMs: 1064 });
    const times: number[] = [];
    const landed = sinkB.landed.bind(sinkB);
    sinkB.landed = (nodeId, header) => {
      times.push(scheduler.clock.now());
      landed(nodeId, header);
    };
    const start = scheduler.clock.now();
    for (let psn = 0; psn < 3; psn++) {
      a.send('b', frame({ psn, payloadLength: 1000 }), [pattern(1000)]);
    }
    await wait(() => sinkB.landedHeaders.length === 3);
    expect(times.map((time) => time - start)).toEqual([6, 7, 8]);
  });

  it('reads payload views when the wire takes the frame, not when it is queued', async () => {
    const { a, sinkB, wait } = await pair({ bandwidthBytesPerMs: 1000 });
    const payload = pattern(2000);
    a.send('b', frame({ psn: 0, payloadLength: 2000 }), [payload]);
    a.send('b', frame({ psn: 1, payloadLength: 2000, remoteAddress: 4096 }), [payload]);
    payload.fill(0xee);
    await wait(() => sinkB.landedHeaders.length === 2);
    expect(sinkB.memory[4096]).toBe(0xee);
  });

  it('gives the same run for the same seed, faults included', async () => {
    const run = async () => {
      const init = { latencyMs: 0.1, dropRate: 0.3, duplicateRate: 0.3, prng: new Prng(7) };
      const { scheduler, a, sinkB } = await pair(init);
      const trace: string[] = [];
      sinkB.landed = (_nodeId, header) => trace.push(`${scheduler.clock.now()} ${header.psn}`);
      for (let psn = 0; psn < 200; psn++) a.send('b', frame({ psn }), []);
      await scheduler.run(until(scheduler, () => scheduler.clock.now() > 10));
      return trace;
    };
    const trace = await run();
    expect(await run()).toEqual(trace);
    const psns = trace.map((line) => Number(line.split(' ')[1]));
    expect(new Set(psns).size).toBeLessThan(200);
    expect(psns.length).toBeGreaterThan(new Set(psns).size);
    expect(psns).toEqual(psns.toSorted((left, right) => left - right));
  });

  it('heals a partition that is shorter than the redial time without a loss', async () => {
    const { scheduler, network, sinkA, sinkB, wait } = await pair();
    network.partition('a', 'b');
    scheduler.after(REDIAL_MS * 0.8, () => network.heal('a', 'b'));
    await wait(() => sinkA.count('linkUp') === 2 && sinkB.count('linkUp') === 2);
    expect(sinkA.count('linkLost') + sinkB.count('linkLost')).toBe(0);
  });

  it('loses a killed host at its peers after the redial time, and keeps it silent', async () => {
    const { scheduler, network, b, sinkA, sinkB, wait } = await pair();
    const start = scheduler.clock.now();
    network.kill('b');
    await wait(() => sinkA.count('linkLost') === 1);
    expect(scheduler.clock.now() - start).toBeGreaterThanOrEqual(REDIAL_MS);
    expect(scheduler.clock.now() - start).toBeLessThan(REDIAL_MS + 300);
    expect(sinkA.events.at(-1)).toContain('b does not answer');
    expect(sinkB.events).toEqual(['linkUp a']);
    expect(b.send('a', frame(), [])).toBe('down');
  });

  it('gives a peer that never answers up after CONNECT_MS', async () => {
    const scheduler = new VirtualScheduler();
    const network = new MemoryNetwork({ scheduler });
    const [a, b] = [network.transport('a'), network.transport('b')];
    const sink = new RecordingSink();
    a.attach(sink);
    b.attach(new RecordingSink());
    a.connect({ nodeId: 'b', address: b.address });
    await scheduler.run(until(scheduler, () => sink.count('linkLost') === 1));
    expect(scheduler.clock.now()).toBeGreaterThanOrEqual(CONNECT_MS);
    expect(scheduler.clock.now()).toBeLessThan(CONNECT_MS + 10);
    expect(sink.events).toHaveLength(1);
  });

  it('keeps at most 256 dials that nobody expects, and serves an expected one all the same', async () => {
    const scheduler = new VirtualScheduler();
    const network = new MemoryNetwork({ scheduler });
    const server = network.transport('server');
    const serverSink = new RecordingSink();
    server.attach(serverSink);
    const sinks = Array.from({ length: 260 }, (_, index) => {
      const client = network.transport(`client-${index}`);
      const sink = new RecordingSink();
      client.attach(sink);
      client.connect({ nodeId: 'server', address: server.address });
      return { client, sink };
    });
    await scheduler.run(until(scheduler, () => scheduler.clock.now() > 100));
    const late = sinks[259];
    if (late === undefined) throw new Error('Expected 260 clients');
    server.connect({ nodeId: 'client-259', address: late.client.address });
    await scheduler.run(until(scheduler, () => late.sink.count('linkUp server') === 1));
    await scheduler.run(until(scheduler, () => serverSink.count('linkUp client-259') === 1));
    expect(late.sink.events).toEqual(['linkUp server']);
  });
});
