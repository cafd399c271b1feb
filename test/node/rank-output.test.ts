import { describe, expect, it } from 'vitest';
import { delay, VirtualScheduler } from '../../common/scheduler.ts';
import {
  OUTPUT_CHARACTERS_PER_INTERVAL,
  OUTPUT_CHARACTERS_PER_MESSAGE,
  OUTPUT_CHARACTERS_WAITING_MAX,
  OUTPUT_INTERVAL_MS,
  type OutputStream,
  RankOutput,
} from '../../node/rank-output.ts';

interface Sent {
  readonly atMs: number;
  readonly stream: OutputStream;
  readonly text: string;
}

function start() {
  const scheduler = new VirtualScheduler();
  const sent: Sent[] = [];
  const output = new RankOutput(scheduler, (stream, text) => {
    sent.push({ atMs: scheduler.clock.now(), stream, text });
  });
  return { scheduler, sent, output };
}

describe('output of a rank', () => {
  it('many small writes go out as one message, in order, streams kept apart', async () => {
    const { scheduler, sent, output } = start();
    for (let line = 0; line < 100; line++) await output.write('stdout', `${line}\n`);
    await output.write('stderr', 'oh');
    await output.write('stdout', 'end');
    await scheduler.run(output.flushed());
    const lines = Array.from({ length: 100 }, (_, line) => `${line}\n`).join('');
    expect(sent).toEqual([
      { atMs: OUTPUT_INTERVAL_MS, stream: 'stdout', text: lines },
      { atMs: OUTPUT_INTERVAL_MS, stream: 'stderr', text: 'oh' },
      { atMs: OUTPUT_INTERVAL_MS, stream: 'stdout', text: 'end' },
    ]);
  });

  it('a flood goes out at a bounded rate, in bounded messages, and loses nothing', async () => {
    const { scheduler, sent, output } = start();
    const text = 'x'.repeat(10 * OUTPUT_CHARACTERS_PER_INTERVAL + 7);
    void output.write('stdout', text);
    await scheduler.run(output.flushed());
    expect(sent.map((one) => one.text).join('')).toBe(text);
    const perInterval = new Map<number, number>();
    for (const { atMs, text: part } of sent) {
      expect(part.length).toBeLessThanOrEqual(OUTPUT_CHARACTERS_PER_MESSAGE);
      perInterval.set(atMs, (perInterval.get(atMs) ?? 0) + part.length);
    }
    expect(perInterval.size).toBe(11);
    expect(Math.max(...perInterval.values())).toBe(OUTPUT_CHARACTERS_PER_INTERVAL);
  });

  it('makes a writer wait while too much is waiting, and lets it go on', async () => {
    const { scheduler, output } = start();
    let state = 'waiting';
    const writer = output
      .write('stdout', 'x'.repeat(OUTPUT_CHARACTERS_WAITING_MAX + 1))
      .then(() => {
        state = 'free';
      });
    await scheduler.run(delay(scheduler, OUTPUT_INTERVAL_MS / 2));
    expect(state).toBe('waiting');
    await scheduler.run(writer);
    expect(scheduler.clock.now()).toBe(OUTPUT_INTERVAL_MS);
  });

  it('has nothing to flush when nothing was written', async () => {
    const { sent, output } = start();
    await output.flushed();
    expect(sent).toEqual([]);
  });
});
