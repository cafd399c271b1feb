import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COLLECTIVES } from '../../collectives/collective.ts';
import { algorithmsFor, buildSchedule } from '../../collectives/table.ts';
import type { Topology } from '../../collectives/topology.ts';
import {
  type Choice,
  choose,
  possibleAlgorithms,
  selectAlgorithm,
  type TuningTable,
} from '../../collectives/tuner.ts';
import {
  TIE_SHARE,
  type TuningMeasurement,
  tuningFromMeasurements,
} from '../../collectives/tuning-measurements.ts';
import { BUILT_IN_TUNING, LATENCY_BOUND_BYTES } from '../../collectives/tuning-rules.ts';
import { parseTuningTable } from '../../collectives/tuning-table.ts';
import { KiB, MiB } from '../../common/bytes.ts';

const call = { collective: 'allReduce', bytes: 1 * MiB, nranks: 4, boxes: 4 } as const;
const ring: Choice = { algorithm: 'ring', channels: 1 };

/** Every way to put so many ranks into boxes that are alike. */
function topologies(nranks: number): Topology[] {
  const divisors = Array.from({ length: nranks }, (_, index) => index + 1).filter(
    (boxes) => nranks % boxes === 0,
  );
  return divisors.map((boxes) => ({ boxes, ranksPerBox: nranks / boxes }));
}

describe('the built-in table', () => {
  it.each(COLLECTIVES)(
    'has for %s of any size, on 1 to 64 ranks, what can be built',
    (collective) => {
      for (let nranks = 1; nranks <= 64; nranks++) {
        for (const topology of topologies(nranks)) {
          const chosen = new Map<string, Choice>();
          for (const bytes of [0, 1, 8, 1 * KiB, 32 * KiB, 32 * KiB + 1, 1 * MiB, 1024 * MiB]) {
            const choice = choose({ collective, bytes, nranks, boxes: topology.boxes });
            expect(algorithmsFor(collective)).toContain(choice.algorithm);
            chosen.set(JSON.stringify(choice), choice);
          }
          for (const choice of chosen.values()) {
            const schedule = buildSchedule({ collective, topology, ...choice });
            expect(schedule).toMatchObject({ collective, nranks });
          }
        }
      }
    },
  );

  it('ends with a rule without limits for every collective', () => {
    for (const collective of COLLECTIVES) {
      const last = BUILT_IN_TUNING.rules.findLast((rule) => rule.collective === collective);
      expect(Object.keys(last ?? {}).sort()).toEqual(['algorithm', 'channels', 'collective']);
    }
  });

  it('uses every one of its rules', () => {
    for (const rule of BUILT_IN_TUNING.rules) {
      const nranks = rule.ranks?.from ?? rule.ranks?.to ?? 16;
      const bytes = rule.bytes?.to ?? 1024 * MiB;
      const { collective, algorithm, channels } = rule;
      expect(choose({ collective, bytes, nranks, boxes: nranks })).toEqual({ algorithm, channels });
    }
  });

  it('goes through JSON and its own check unchanged', () => {
    expect(parseTuningTable(JSON.parse(JSON.stringify(BUILT_IN_TUNING)))).toEqual(BUILT_IN_TUNING);
  });

  it('takes few rounds for small all-reduces and few bytes for large ones', () => {
    const select = (bytes: number, nranks = 4) =>
      selectAlgorithm({ collective: 'allReduce', bytes, nranks });
    expect(select(0, 2)).toBe('recursiveDoubling');
    expect(select(4 * KiB, 3)).toBe('oneShot');
    expect(select(4 * KiB)).toBe('oneShot');
    expect(select(4 * KiB + 4)).toBe('recursiveDoubling');
    expect(select(0, 5)).toBe('recursiveDoubling');
    expect(select(LATENCY_BOUND_BYTES)).toBe('recursiveDoubling');
    expect(select(LATENCY_BOUND_BYTES + 4)).toBe('ring');
  });

  it('does not cut a ring into crumbs', () => {
    const select = (bytes: number) =>
      selectAlgorithm({ collective: 'allReduce', bytes, nranks: 64 });
    expect(select(63 * KiB)).toBe('recursiveDoubling');
    expect(select(64 * KiB)).toBe('ring');
  });
});

describe('choose()', () => {
  const table = (rules: TuningTable['rules']): TuningTable => ({ rules });
  const doubling = {
    collective: 'allReduce',
    algorithm: 'recursiveDoubling',
    channels: 3,
  } as const;

  it('takes the first rule that fits, with all that it says', () => {
    const rules = [
      { ...doubling, chunks: 5, sliceBytes: 64 * KiB },
      { ...doubling, channels: 2 },
    ];
    expect(choose(call, table(rules))).toEqual({
      algorithm: 'recursiveDoubling',
      channels: 3,
      chunks: 5,
      sliceBytes: 64 * KiB,
    });
  });

  it.each([
    ['bytes', { from: 1 * MiB + 1 }, { from: 1 * MiB, to: 1 * MiB }],
    ['ranks', { to: 3 }, { from: 4, to: 4 }],
    ['boxes', { from: 5 }, { from: 4 }],
  ])('counts both ends of a range of %s as inside', (field, outside, inside) => {
    expect(choose(call, table([{ ...doubling, [field]: outside }]))).toEqual(ring);
    expect(choose(call, table([{ ...doubling, [field]: inside }]))).toMatchObject({ channels: 3 });
  });

  it('passes over rules of other collectives, and such as cannot be built for these ranks', () => {
    const rules = [
      { ...doubling, collective: 'allGather', algorithm: 'ring' } as const,
      { ...doubling, algorithm: 'ring', chunks: 7 },
    ];
    expect(choose(call, table(rules))).toEqual(ring);
    expect(choose({ ...call, nranks: 7, boxes: 7 }, table(rules))).toMatchObject({ chunks: 7 });
  });

  it('treats boxes that are not alike as if every rank had its own', () => {
    expect(choose({ ...call, nranks: 5, boxes: 2 })).toEqual(ring);
  });
});

describe('possibleAlgorithms()', () => {
  it('names those whose restrictions hold', () => {
    const names = possibleAlgorithms('allReduce', { boxes: 3, ranksPerBox: 1 });
    expect(names).toEqual(expect.arrayContaining(['ring', 'recursiveDoubling']));
    for (const algorithm of names) {
      const topology = { boxes: 3, ranksPerBox: 1 };
      expect(() => buildSchedule({ collective: 'allReduce', algorithm, topology })).not.toThrow();
    }
  });
});

describe('tuningFromMeasurements()', () => {
  const at = (
    bytes: number,
    seconds: number,
    way: Partial<TuningMeasurement> = {},
  ): TuningMeasurement => {
    return { ...call, ...ring, bytes, seconds, ...way };
  };
  const doubling = { algorithm: 'recursiveDoubling' } as const;

  it('puts adjacent sizes with the same winner into one rule, and leaves no gap', () => {
    const points = [
      ...[8, 64, 4096].flatMap((bytes) => [at(bytes, 1, doubling), at(bytes, 2)]),
      ...[16384, 1 * MiB].flatMap((bytes) => [at(bytes, 2, doubling), at(bytes, 1)]),
    ];
    const only = { ranks: { from: 4, to: 4 }, boxes: { from: 4, to: 4 } };
    expect(tuningFromMeasurements(points).rules).toEqual([
      { collective: 'allReduce', bytes: { to: 8192 }, ...only, ...doubling, channels: 1 },
      { collective: 'allReduce', bytes: { from: 8193 }, ...only, ...ring },
    ]);
  });

  it('takes fewer channels where more of them hardly help, and more where they do', () => {
    const tie = 1 - TIE_SHARE / 2;
    const few = [at(8, 1, { channels: 2 }), at(8, tie, { channels: 4 })];
    expect(tuningFromMeasurements(few).rules).toMatchObject([{ channels: 2 }]);
    const many = [at(8, 1, { channels: 2 }), at(8, 0.9, { channels: 4 })];
    expect(tuningFromMeasurements(many).rules).toMatchObject([{ channels: 4 }]);
  });

  it('keeps ranks and boxes apart, and slices and chunks with their winner', () => {
    const points = [
      at(8, 2, { nranks: 8, boxes: 2, sliceBytes: 4096 }),
      at(8, 1, { nranks: 8, boxes: 2, sliceBytes: 65536, chunks: 16 }),
      at(8, 1),
    ];
    expect(tuningFromMeasurements(points).rules).toMatchObject([
      { ranks: { from: 4, to: 4 }, boxes: { from: 4, to: 4 } },
      { ranks: { from: 8, to: 8 }, boxes: { from: 2, to: 2 }, sliceBytes: 65536, chunks: 16 },
    ]);
  });

  it('chooses for every size that was measured the way that was fastest there', () => {
    const channels = fc.constantFrom(1, 2, 4);
    const algorithm = fc.constantFrom('ring', 'recursiveDoubling');
    const point = fc.record({
      algorithm,
      channels,
      bytes: fc.nat(1 * MiB),
      seconds: fc.integer({ min: 1, max: 1000 }),
    });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 40 }), (points) => {
        const measured = points.map((one) => ({ ...call, ...one }));
        const tuned = tuningFromMeasurements(measured);
        expect(parseTuningTable(tuned)).toEqual(tuned);
        for (const { bytes } of measured) {
          const choice = choose({ ...call, bytes }, tuned);
          const fastest = Math.min(
            ...measured.filter((one) => one.bytes === bytes).map(({ seconds }) => seconds),
          );
          const times = measured.filter(
            (one) =>
              one.bytes === bytes &&
              one.algorithm === choice.algorithm &&
              one.channels === choice.channels,
          );
          expect(Math.min(...times.map(({ seconds }) => seconds))).toBeLessThanOrEqual(
            fastest * (1 + TIE_SHARE),
          );
        }
      }),
    );
  });
});
