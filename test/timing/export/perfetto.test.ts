import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { perfettoTrace, SpanWindow } from '../../../timing/export/perfetto.ts';
import type { Activity, Span } from '../../../timing/prediction.ts';
import { overlaps, readTrace, trackOf } from './read-trace.ts';

const PARAMETER = { text: '1us', source: 'a guess' };
const TRACE = {
  network: {
    name: 'hls2 x 2',
    nranks: 16,
    parameters: [
      { ...PARAMETER, name: 'scaleUp.latency', status: 'assumed' as const },
      { ...PARAMETER, name: 'scaleUp.rate', status: 'published' as const },
    ],
  },
  model: 'flow' as const,
  title: 'ring all_reduce of 1 MiB',
};

const ACTIVITIES = ['issue', 'link', 'latency', 'reduction', 'copy', 'waiting'] as const;

function spanOf(activity: Activity, begin: number, length: number, more: Partial<Span> = {}): Span {
  const isMessage = activity === 'link' || activity === 'latency';
  return {
    ...{ activity, rank: 0, channel: 0, step: 0, slice: 0, bytes: 64 },
    ...{ beginSeconds: begin, endSeconds: begin + length },
    ...(isMessage && { peer: 1, link: 7, linkKind: 'scaleUp' }),
    ...more,
  };
}

const spans = fc.array(
  fc
    .record({
      activity: fc.constantFrom(...ACTIVITIES),
      rank: fc.nat(2),
      channel: fc.nat(2),
      step: fc.nat(50),
      slice: fc.nat(3),
      begin: fc.double({ min: 0, max: 3, noNaN: true }),
      length: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e-3, noNaN: true })),
      peer: fc.nat(2),
    })
    .map(({ activity, begin, length, peer, ...more }) => {
      const isMessage = activity === 'link' || activity === 'latency';
      return spanOf(activity, begin, length, { ...more, ...(isMessage && { peer }) });
    }),
  { maxLength: 60 },
);

const traceOf = (all: readonly Span[], more = {}) =>
  readTrace([...perfettoTrace(all, { ...TRACE, ...more })].join(''));

describe('The trace of a predicted run', () => {
  it('has every span once, on a track where nothing overlaps', () => {
    fc.assert(
      fc.property(spans, (all) => {
        const trace = traceOf(all);
        expect(overlaps(trace)).toEqual([]);
        const shown = trace.events
          .filter(({ cat }) => cat !== 'collective')
          .map(({ cat, pid, args }) => `${cat} ${pid} ${args['channel']}.${args['step']}`);
        const wanted = all.map(
          ({ activity, rank, channel, step }) => `${activity} ${rank} ${channel}.${step}`,
        );
        expect(shown.sort()).toEqual(wanted.sort());
      }),
    );
  });

  it('keeps times to a nanosecond', () => {
    fc.assert(
      fc.property(spans, (all) => {
        const key = (begin: number, end: number): number => begin * 1e3 + end;
        const shown = traceOf(all).events.filter(({ cat }) => cat !== 'collective');
        const found = shown.map(({ ts, dur }) => key(ts, ts + dur)).sort((a, b) => a - b);
        const wanted = all
          .map(({ beginSeconds, endSeconds }) => key(beginSeconds * 1e6, endSeconds * 1e6))
          .sort((a, b) => a - b);
        for (const [index, value] of wanted.entries())
          expect(Math.abs((found[index] ?? 0) - value)).toBeLessThan(2);
      }),
    );
  });

  it('has a process per rank, a track per channel and per way to a peer', () => {
    const trace = traceOf([
      spanOf('reduction', 0, 1e-6),
      spanOf('issue', 0, 1e-6, { channel: 3 }),
      spanOf('link', 0, 1e-6, { peer: 5 }),
      spanOf('latency', 1e-6, 1e-6, { peer: 5 }),
      spanOf('copy', 0, 1e-6, { rank: 2 }),
    ]);
    expect([...trace.tracks.values()]).toEqual([
      'rank 0 / collectives',
      'rank 0 / channel 0',
      'rank 0 / channel 3',
      'rank 0 / to rank 5',
      'rank 2 / collectives',
      'rank 2 / channel 0',
    ]);
    const [link] = trace.events.filter(({ cat }) => cat === 'link');
    expect(link && trackOf(trace, link)).toBe('rank 0 / to rank 5');
    expect(link?.args).toMatchObject({ peer: 5, linkKind: 'scaleUp', link: 7, bytes: 64 });
  });

  it('spreads what happens at the same time over tracks of one name', () => {
    const trace = traceOf([
      spanOf('reduction', 0, 3e-6),
      spanOf('reduction', 1e-6, 3e-6, { slice: 1 }),
      spanOf('reduction', 3e-6, 1e-6, { slice: 2 }),
    ]);
    const shown = trace.events
      .filter(({ cat }) => cat === 'reduction')
      .map((event) => `${event.name} on ${trackOf(trace, event)}`);
    expect(shown).toEqual([
      'reduce 0.0.0 on rank 0 / channel 0',
      'reduce 0.0.2 on rank 0 / channel 0',
      'reduce 0.0.1 on rank 0 / channel 0 (2)',
    ]);
  });

  it('says that its time is virtual, of which model and network, and what was assumed', () => {
    expect(traceOf([spanOf('copy', 0, 1)]).metadata).toEqual({
      time: 'virtual',
      title: 'ring all_reduce of 1 MiB',
      model: 'flow',
      network: 'hls2 x 2',
      ranks: 16,
      assumedParameters: ['scaleUp.latency = 1us'],
      eventsOmitted: 0,
    });
  });

  it('is bounded, and says what it left out', () => {
    const window = new SpanWindow(3);
    for (let step = 0; step < 5; step++) window.record(spanOf('copy', step, 1, { step }));
    expect(window.spans.map(({ step }) => step)).toEqual([0, 1, 2]);
    const trace = traceOf(window.spans, { omitted: window.omitted });
    expect(trace.metadata['eventsOmitted']).toBe(2);
    expect(trace.events.filter(({ cat }) => cat === 'copy')).toHaveLength(3);
  });

  it('of nothing is a trace too', () => {
    expect(traceOf([]).events).toEqual([]);
  });
});
