import { describe, expect, it } from 'vitest';
import { delay, VirtualScheduler } from '../../../common/scheduler.ts';
import type { CallWindow, EngineEvent, EngineObserver } from '../../../node/hccl/events.ts';
import { HostTracing } from '../../../node/hccl/host-tracing.ts';

const ALL = { eventsMax: 100, firstCall: 1, lastCall: 1_000, every: 1 };

function eventOf(sequence: number, rank = 0): EngineEvent {
  return { kind: 'collectiveEnd', rank, uniqueId: 'u', sequence, atMs: 0, result: 'hcclSuccess' };
}

/** A rank on shared memory with notes that are taken from it. */
class Notes {
  readonly kept: EngineEvent[] = [];
  state: 'off' | 'on' = 'off';
  window: CallWindow | undefined;

  async begin(window: CallWindow): Promise<void> {
    this.state = 'on';
    this.window = window;
  }

  drain(observe: EngineObserver): void {
    for (const event of this.kept.splice(0)) observe(event);
  }

  async end(observe: EngineObserver): Promise<number> {
    this.state = 'off';
    this.drain(observe);
    return 7;
  }
}

const callsOf = (events: readonly { readonly event: EngineEvent }[]) =>
  events.map(({ event }) => event.sequence);

describe('What a host notes down', () => {
  it('is nothing, and no event is made, while nobody wants to know', async () => {
    const tracing = new HostTracing(new VirtualScheduler());
    const tap = tracing.tapOf(3);
    expect(tap.observer).toBeUndefined();
    await tracing.begin(ALL);
    tap.observer?.(eventOf(1));
    const { events, dropped } = await tracing.end();
    expect(events).toEqual([{ worldRank: 3, event: eventOf(1) }]);
    expect(dropped).toBe(0);
    expect(tap.observer).toBeUndefined();
  });

  it('is of the calls that are wanted alone', async () => {
    const tracing = new HostTracing(new VirtualScheduler());
    const tap = tracing.tapOf(0);
    await tracing.begin({ ...ALL, firstCall: 3, lastCall: 9, every: 2 });
    for (let call = 1; call <= 12; call++) tap.observer?.(eventOf(call));
    expect(callsOf((await tracing.end()).events)).toEqual([3, 5, 7, 9]);
  });

  it('is bounded, and what finds no room is counted', async () => {
    const tracing = new HostTracing(new VirtualScheduler());
    const tap = tracing.tapOf(0);
    await tracing.begin({ ...ALL, eventsMax: 2 });
    for (let call = 1; call <= 5; call++) tap.observer?.(eventOf(call));
    const { events, dropped } = await tracing.end();
    expect(callsOf(events)).toEqual([1, 2]);
    expect(dropped).toBe(3);
  });

  it('begins anew with every trace', async () => {
    const tracing = new HostTracing(new VirtualScheduler());
    const tap = tracing.tapOf(0);
    await tracing.begin({ ...ALL, eventsMax: 1 });
    tap.observer?.(eventOf(1));
    await tracing.end();
    await tracing.begin({ ...ALL, eventsMax: 1 });
    tap.observer?.(eventOf(2));
    expect(callsOf((await tracing.end()).events)).toEqual([2]);
  });

  it('is told to who always wants to know, too', async () => {
    const always: EngineEvent[] = [];
    const tracing = new HostTracing(new VirtualScheduler(), (event) => always.push(event));
    const tap = tracing.tapOf(0);
    tap.observer?.(eventOf(1));
    await tracing.begin({ ...ALL, firstCall: 2 });
    tap.observer?.(eventOf(1));
    tap.observer?.(eventOf(2));
    expect(callsOf((await tracing.end()).events)).toEqual([2]);
    expect(always.map(({ sequence }) => sequence)).toEqual([1, 1, 2]);
  });

  it('is taken from ranks on shared memory now and then, and at the end', async () => {
    const scheduler = new VirtualScheduler();
    const tracing = new HostTracing(scheduler);
    const notes = new Notes();
    tracing.tapOf(5).addSource(notes);
    expect(notes.state).toBe('off');
    await tracing.begin(ALL);
    expect(notes.window).toMatchObject({ firstCall: 1, lastCall: 1_000, every: 1 });
    notes.kept.push(eventOf(1));
    await scheduler.run(delay(scheduler, 20));
    expect(notes.kept).toEqual([]);
    notes.kept.push(eventOf(2));
    const { events, dropped } = await tracing.end();
    expect(events).toEqual([
      { worldRank: 5, event: eventOf(1) },
      { worldRank: 5, event: eventOf(2) },
    ]);
    expect(dropped).toBe(7);
    expect(notes.state).toBe('off');
    notes.kept.push(eventOf(3));
    await scheduler.run(delay(scheduler, 50));
    expect(notes.kept).toHaveLength(1);
  });

  it('is of ranks that come while it is taken, and of those that leave', async () => {
    const tracing = new HostTracing(new VirtualScheduler());
    const notes = new Notes();
    await tracing.begin(ALL);
    const leave = tracing.tapOf(1).addSource(notes);
    expect(notes.state).toBe('on');
    notes.kept.push(eventOf(4));
    await leave();
    expect(notes.state).toBe('off');
    notes.kept.push(eventOf(5));
    const { events, dropped } = await tracing.end();
    expect(callsOf(events)).toEqual([4]);
    expect(dropped).toBe(7);
  });

  it('says which rank has no room for notes', async () => {
    const tracing = new HostTracing(new VirtualScheduler());
    const notes = new Notes();
    notes.begin = () => Promise.reject(new Error('no memory'));
    tracing.tapOf(2).addSource(notes);
    await tracing.begin(ALL);
    expect((await tracing.end()).remarks).toEqual(['Rank 2 is missing: no memory']);
  });
});
