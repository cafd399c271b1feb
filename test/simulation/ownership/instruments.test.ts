/** The simulation's own instruments: what they claim to see and do, they see and do. */
import { describe, expect, it } from 'vitest';
import { Prng } from '../../../common/prng.ts';
import { type Scheduler, VirtualScheduler } from '../../../common/scheduler.ts';
import { ARMED_RATE, DelayingScheduler, FaultSource } from './faulty-network.ts';
import {
  copyUnseen,
  installMemoryProbe,
  type ProbedRange,
  type ProbeListener,
} from './memory-probe.ts';
import { SimulationScheduler } from './simulation-scheduler.ts';

/** A program of timers that start timers; what ran, and when. */
function timersOf(scheduler: Scheduler, seed: number): { log: string[]; done: Promise<void> } {
  const prng = new Prng(seed);
  const log: string[] = [];
  let left = 200;
  const done = new Promise<void>((resolve) => {
    const start = (name: number) => {
      const run = () => {
        log.push(`${scheduler.clock.now()} ${name}`);
        if (left-- <= 0) resolve();
        else for (let child = 0; child <= prng.below(2); child++) start(10 * name + child);
      };
      const kind = prng.below(3);
      if (kind === 0) scheduler.soon(run);
      else if (kind === 1) scheduler.after(prng.below(4), run);
      else void Promise.resolve().then(() => scheduler.after(prng.below(3), run));
      const cancel = scheduler.after(prng.below(5), () => log.push(`never ${name}`));
      cancel();
    };
    start(1);
    start(2);
  });
  return { log, done };
}

describe('the scheduler', () => {
  it('runs events in the order of VirtualScheduler', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const plain = new VirtualScheduler();
      const fast = new SimulationScheduler();
      const expected = timersOf(plain, seed);
      await plain.run(expected.done);
      const found = timersOf(fast, seed);
      expect(await fast.run(found.done, 1_000_000)).toBe('settled');
      expect(found.log).toEqual(expected.log);
    }
  });

  it('counts what would still run, and says when nothing is left', async () => {
    const scheduler = new SimulationScheduler();
    scheduler.after(5, () => undefined);
    scheduler.after(5, () => undefined)();
    scheduler.soon(() => undefined);
    expect(scheduler.live).toBe(2);
    const never = new Promise<void>(() => undefined);
    expect(await scheduler.run(never, 1)).toBe('late');
    expect([scheduler.live, scheduler.clock.now()]).toEqual([1, 1]);
    expect(await scheduler.run(never, 100)).toBe('silent');
    expect([scheduler.live, scheduler.clock.now()]).toEqual([0, 5]);
  });

  it('passes on what an event throws', async () => {
    const scheduler = new SimulationScheduler();
    scheduler.after(1, () => {
      throw new Error('broken');
    });
    await expect(scheduler.run(new Promise(() => undefined), 10)).rejects.toThrow('broken');
  });
});

describe('the memory probe', () => {
  function probed() {
    const seen: string[] = [];
    const watched = new SharedArrayBuffer(64);
    const text = (side: ProbedRange<string> | ArrayBufferLike | undefined) =>
      side !== undefined && 'memory' in side ? `${side.memory} ${side.start}` : 'other';
    const listener: ProbeListener<string> = {
      copy: (source, target) => seen.push(`${text(source)} > ${text(target)}`),
      zeroing: ({ start }) => (start === 32 ? 'skip' : 'zero'),
    };
    const uninstall = installMemoryProbe(new Map([[watched, 'hbm']]), listener);
    return { seen, watched, uninstall };
  }

  it('sees copies from and into watched memory, with their places, and no others', () => {
    const { seen, watched, uninstall } = probed();
    const other = new Uint8Array(8).fill(7);
    try {
      new Uint8Array(watched, 16, 8).set(other);
      other.set(new Uint8Array(watched, 8, 8));
      new Uint8Array(watched, 0, 16).set(other, 4);
      other.set(new Uint8Array(8));
      copyUnseen(new Uint8Array(watched, 0, 8), other);
    } finally {
      uninstall();
    }
    new Uint8Array(watched, 16, 8).set(other);
    expect(seen).toEqual(['other > hbm 16', 'hbm 8 > other', 'other > hbm 4']);
  });

  it('leaves out zeroing only where it is told that there is nothing to zero', () => {
    const { watched, uninstall } = probed();
    const bytes = new Uint8Array(watched);
    bytes.fill(9);
    try {
      new Uint8Array(watched, 0, 32).fill(0);
      new Uint8Array(watched, 32, 32).fill(0);
    } finally {
      uninstall();
    }
    expect([bytes[0], bytes[31], bytes[32], bytes[63]]).toEqual([0, 0, 9, 9]);
  });
});

describe('faults', () => {
  it('drop and duplicate as many frames as were armed, and then none', () => {
    const source = new FaultSource();
    /** As the network asks: 0, 1 or 2 copies. */
    const copies = () => {
      if (source.float() < ARMED_RATE) return 0;
      return source.float() < ARMED_RATE ? 2 : 1;
    };
    source.armDrop(2);
    source.armDuplicate(1);
    expect(Array.from({ length: 5 }, copies)).toEqual([0, 0, 2, 1, 1]);
  });

  it('delay the next timers of the network alone', async () => {
    const base = new SimulationScheduler();
    const network = new DelayingScheduler(base);
    const at: number[] = [];
    network.armDelay([10, 0]);
    for (let count = 0; count < 3; count++) network.after(1, () => at.push(base.clock.now()));
    await base.pass(100);
    expect(at).toEqual([1, 1, 11]);
  });
});
