/** Programs cost what the papers say; payload on the wire is exact. */
import { describe, expect, it } from 'vitest';
import type { ClosedForm } from '../../collectives/algorithm-row.ts';
import { directAllReduce } from '../../collectives/algorithms/direct.ts';
import { ringAllGather, ringAllReduce } from '../../collectives/algorithms/ring.ts';
import { onChannels } from '../../collectives/channels.ts';
import { chunkTable } from '../../collectives/chunks.ts';
import { BLOCKS } from '../../collectives/collective.ts';
import { type Cost, cost, wireElements } from '../../collectives/cost.ts';
import type { AlphaBetaGamma } from '../../collectives/critical-path.ts';
import { lowerAll } from '../../collectives/lower.ts';
import { problemElements } from '../../collectives/problem-size.ts';
import type { Program, Step } from '../../collectives/program.ts';
import type { Schedule, ScheduleOptions } from '../../collectives/schedule.ts';
import type { Ports } from '../../collectives/timed-run.ts';
import { input, output, recv, reduce, scratch, send } from './steps.ts';
import { CASES, type Case, handWritten, programAt, scheduleOf } from './support.ts';

const MODEL: AlphaBetaGamma = {
  alphaSeconds: 3e-6,
  betaSecondsPerByte: 1 / 37e9,
  gammaSecondsPerByte: 1 / 200e9,
};
/** Where start-ups, bytes and reductions dominate in turn. */
const MODELS: readonly AlphaBetaGamma[] = [
  MODEL,
  { alphaSeconds: 1e-3, betaSecondsPerByte: 1e-10, gammaSecondsPerByte: 1e-11 },
  { alphaSeconds: 1e-9, betaSecondsPerByte: 1e-9, gammaSecondsPerByte: 0 },
  { alphaSeconds: 0, betaSecondsPerByte: 2e-10, gammaSecondsPerByte: 1e-10 },
];
const BYTES_PER_ELEMENT = 4;
const RANKS = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17];

function costOf(schedule: Schedule, count: number, model = MODEL, ports: Ports = 'single'): Cost {
  const options = { model, bytesPerElement: BYTES_PER_ELEMENT, ports };
  return cost(lowerAll(schedule), chunkTable(schedule, count), options);
}

function priceOf(form: ClosedForm, bytes: number, model: AlphaBetaGamma): number {
  const { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte } = model;
  return (
    form.alphas * alphaSeconds +
    form.bytes * bytes * betaSecondsPerByte +
    form.reducedBytes * bytes * gammaSecondsPerByte
  );
}

/** A count of which every chunk gets the same part. */
function evenCount({ collective, nranks, chunks }: Schedule): number {
  return 24 * chunks * (collective.startsWith('allToAll') ? nranks : 1);
}

interface Asked {
  readonly label: string;
  readonly options: ScheduleOptions;
}

/** What an algorithm is asked for: ranks, roots and boxes. */
const ASKED: readonly Asked[] = RANKS.flatMap((nranks): Asked[] => {
  const plain = { label: `${nranks} ranks`, options: { nranks } };
  const rooted = { label: `${nranks} ranks, last root`, options: { nranks, root: nranks - 1 } };
  const finer = { label: `${nranks} ranks, 24 chunks`, options: { nranks, chunks: 24 } };
  const boxes = [2, 3, 4].filter((ranksPerBox) => nranks % ranksPerBox === 0);
  return [
    plain,
    rooted,
    ...(nranks > 8 ? [] : [finer]),
    ...boxes.map((ranksPerBox) => ({
      label: `${nranks} ranks, ${ranksPerBox} in a box`,
      options: { nranks, topology: { boxes: nranks / ranksPerBox, ranksPerBox } },
    })),
  ];
});

/** Each schedule that the literature prices, with its price. */
function priced(one: Case): { label: string; schedule: Schedule; form: ClosedForm }[] {
  const { closedForm } = one.row;
  if (closedForm === undefined) return [];
  return ASKED.flatMap(({ label, options }) => {
    if (options.root !== undefined && !BLOCKS[one.collective].rooted) return [];
    const schedule = scheduleOf(one, options);
    if (schedule === undefined) return [];
    return [{ label, schedule, form: closedForm({ collective: one.collective, ...options }) }];
  });
}

const PRICED = CASES.filter(({ row }) => row.closedForm !== undefined);

describe.each(PRICED)('$algorithm $collective', (one) => {
  it('costs what its closed form says', () => {
    const wrong = priced(one).flatMap(({ label, schedule, form }) => {
      const count = evenCount(schedule);
      const bytes = problemElements(schedule, count) * BYTES_PER_ELEMENT;
      const programs = lowerAll(schedule);
      const table = chunkTable(schedule, count);
      return MODELS.flatMap((model, index) => {
        const expected = priceOf(form, bytes, model);
        const options = { model, bytesPerElement: BYTES_PER_ELEMENT, ports: form.ports };
        const { seconds, critical } = cost(programs, table, options);
        const isBound = form.text.startsWith('≤') && seconds < expected;
        if (isBound || Math.abs(seconds - expected) <= 1e-9 * expected) return [];
        const { alphas } = critical;
        const parts = [critical.bytes / bytes, critical.reducedBytes / bytes];
        return [
          `${label}, model ${index}: ${form.alphas} ${form.bytes} ${form.reducedBytes} but ${alphas} ${parts}: ${seconds / expected}`,
        ];
      });
    });
    expect(wrong).toEqual([]);
  });
});

describe('cost()', () => {
  const { alphaSeconds, betaSecondsPerByte, gammaSecondsPerByte } = MODEL;
  /** Of one chunk of the programs below. */
  const BYTES = 4000;
  const seconds = (alphas: number, chunks: number, reducedChunks = 0): number =>
    alphas * alphaSeconds +
    chunks * BYTES * betaSecondsPerByte +
    reducedChunks * BYTES * gammaSecondsPerByte;
  const costOfPrograms = (programs: readonly Program[], ports: Ports = 'single'): Cost =>
    cost(programs, chunkTable(programAt(programs, 0), 2000), {
      model: MODEL,
      bytesPerElement: BYTES_PER_ELEMENT,
      ports,
    });
  const add = reduce(input(0), output(0));

  it('lists what every rank sends, reduces and does', () => {
    const { ranks, most } = costOf(ringAllReduce({ nranks: 4 }), 10);
    expect(ranks.map(({ sentBytes }) => sentBytes)).toEqual([15, 16, 15, 14].map((n) => 4 * n));
    expect(ranks.map(({ messages }) => messages)).toEqual([6, 6, 6, 6]);
    expect(ranks.map(({ reducedBytes }) => reducedBytes)).toEqual([7, 7, 8, 8].map((n) => 4 * n));
    expect(most).toMatchObject({ messages: 6, sentBytes: 64, reducedBytes: 32 });
  });

  it('lets one message at a time leave a rank, whatever channels they are on', () => {
    const takers = [1, 2].map((): Step[][] => [[recv(0, output(0))]]);
    const inTurn = handWritten([[[send(1, input(0)), send(2, input(0))]], ...takers]);
    expect(costOfPrograms(inTurn).seconds).toBeCloseTo(seconds(2, 2), 15);
    expect(costOfPrograms(inTurn, 'full').seconds).toBeCloseTo(seconds(1, 2), 15);
    const [, , idle] = takers.map(() => []);
    const beside = handWritten([
      [[send(1, input(0))], [send(2, input(0))]],
      [[recv(0, output(0))], idle ?? []],
      [[], [recv(0, output(0))]],
    ]);
    expect(costOfPrograms(beside).seconds).toBeCloseTo(seconds(2, 2), 15);
    expect(costOfPrograms(beside, 'full').seconds).toBeCloseTo(seconds(1, 2), 15);
  });

  it('lets one message at a time reach a rank, whatever channels take them', () => {
    const pathOf = (programs: readonly Program[]) =>
      costOfPrograms(programs).criticalPath.map(({ waitedFor }) => waitedFor);
    const inTurn = handWritten([
      [[recv(1, output(0)), recv(2, output(1))]],
      [[send(0, input(0))]],
      [[send(0, input(0))]],
    ]);
    expect(costOfPrograms(inTurn).seconds).toBeCloseTo(seconds(2, 2), 15);
    expect(costOfPrograms(inTurn, 'full').seconds).toBeCloseTo(seconds(1, 2), 15);
    expect(pathOf(inTurn)).toEqual(['start', 'message', 'receiver', 'message']);
    const beside = handWritten([
      [[recv(1, output(0))], [recv(2, output(1))]],
      [[send(0, input(0))], []],
      [[], [send(0, input(0))]],
    ]);
    expect(costOfPrograms(beside).seconds).toBeCloseTo(seconds(2, 2), 15);
    expect(pathOf(beside)).toEqual(['start', 'receivePort', 'message']);
  });

  it('single ports: a message sets out when the step that takes it is there', () => {
    const busy = { ...add, count: 2 };
    const programs = handWritten([[[send(1, input(0))]], [[busy, recv(0, output(0))]]]);
    expect(costOfPrograms(programs).seconds).toBeCloseTo(seconds(1, 1, 2), 15);
    expect(costOfPrograms(programs, 'full').seconds).toBeCloseTo(seconds(1, 1), 15);
  });

  it('single ports: a message that cannot set out does not hold up another', () => {
    const late = [{ ...add, count: 2 }, add, recv(0, output(0))];
    const programs = handWritten([
      [[send(1, input(0)), send(2, input(0))]],
      [late],
      [[recv(0, output(0))]],
    ]);
    const reducing = seconds(0, 0, 3);
    const moving = seconds(1, 1);
    const end = Math.max(reducing, moving) + moving;
    expect(costOfPrograms(programs).seconds).toBeCloseTo(end, 15);
  });

  it('lets a rank do one reduction at a time', () => {
    const programs = handWritten([[[add], [reduce(input(1), output(1))]]]);
    expect(costOfPrograms(programs).seconds).toBeCloseTo(seconds(0, 0, 2), 15);
    expect(costOfPrograms(programs).criticalPath).toMatchObject([
      { rank: 0, channel: 0, step: 0, waitedFor: 'start', beginSeconds: 0 },
      { rank: 0, channel: 1, step: 0, waitedFor: 'reduction' },
    ]);
  });

  it('waits for what a step depends on, and for all before it in that channel', () => {
    const depends = [{ channel: 0, step: 1 }];
    const programs = handWritten([
      [[send(1, input(0)), { ...add, count: 0 }], [{ ...send(1, input(0)), depends }]],
      [[recv(0, output(0))], [recv(0, output(1))]],
    ]);
    const { criticalPath, seconds: found } = costOfPrograms(programs, 'full');
    expect(found).toBeCloseTo(seconds(1, 2), 15);
    expect(criticalPath.map(({ waitedFor }) => waitedFor)).toEqual([
      'start',
      'sendPort',
      'message',
    ]);
  });

  it('sends while it receives, and reduces what has arrived before it sends it on', () => {
    const fused: Step = {
      kind: 'recvReduceSend',
      count: 1,
      recvFrom: 0,
      sendTo: 0,
      src: input(0),
      landing: { kind: 'slot' },
      depends: [],
    };
    const programs = handWritten([[[send(1, input(0)), recv(1, scratch)]], [[fused]]], {
      scratch: [0],
    });
    const { seconds: found, criticalPath, critical } = costOfPrograms(programs);
    expect(found).toBeCloseTo(seconds(2, 2, 1), 15);
    expect(critical).toEqual({ alphas: 2, bytes: 2 * BYTES, reducedBytes: BYTES });
    expect(criticalPath.map(({ rank, step, waitedFor }) => [rank, step, waitedFor])).toEqual([
      [0, 0, 'start'],
      [1, 0, 'message'],
      [0, 1, 'message'],
    ]);
  });

  it('full ports: steps of a channel that touch no common place overlap', () => {
    const programs = handWritten([
      [[recv(1, output(0)), send(1, input(0)), send(1, output(0))]],
      [[{ ...add, count: 2 }, send(0, input(0)), recv(0, output(0)), recv(0, output(1))]],
    ]);
    // The second message of rank 0 needs the one that it gets; the first does not.
    expect(costOfPrograms(programs, 'full').seconds).toBeCloseTo(seconds(2, 2), 15);
    expect(costOfPrograms(programs, 'single').seconds).toBeCloseTo(seconds(3, 3, 2), 15);
  });

  it('full ports: what a step depends on comes before the later steps of its channel too', () => {
    const slow = { ...reduce(input(0), output(0)), count: 2 };
    const programs = handWritten([
      [[slow], [{ ...recv(1, output(1)), depends: [{ channel: 0, step: 0 }] }, send(1, input(0))]],
      [[], [send(0, input(0)), recv(0, output(0))]],
    ]);
    expect(costOfPrograms(programs, 'full').seconds).toBeCloseTo(seconds(1, 1, 2), 15);
  });

  it.each([2, 3, 4, 8])(
    'all-pairs all-reduce on %i ranks with full ports: 2α + 2(p-1)/p·nβ',
    (nranks) => {
      const model = { ...MODEL, gammaSecondsPerByte: 0 };
      const schedule = directAllReduce({ nranks });
      const count = evenCount(schedule);
      const share = (nranks - 1) / nranks;
      const bytes = 2 * share * count * BYTES_PER_ELEMENT;
      const expected = 2 * alphaSeconds + bytes * betaSecondsPerByte;
      expect(costOf(schedule, count, model, 'full').seconds).toBeCloseTo(expected, 15);
    },
  );

  it('gives a critical path without gaps, from 0 to the end', () => {
    for (const { row, build } of CASES) {
      for (const nranks of [3, 4, 8]) {
        if (!row.restrictions.every(({ holds }) => holds({ collective: 'allReduce', nranks }))) {
          continue;
        }
        const schedule = onChannels(build({ nranks }), 2);
        for (const ports of ['single', 'full'] as const) {
          const { seconds: end, criticalPath, critical } = costOf(schedule, 2400, MODEL, ports);
          expect(criticalPath.at(0)?.beginSeconds).toBe(0);
          expect(criticalPath.at(-1)?.endSeconds).toBe(end);
          for (const [index, { beginSeconds }] of criticalPath.entries()) {
            if (index > 0) expect(beginSeconds).toBe(criticalPath[index - 1]?.endSeconds);
          }
          const form = { ...critical, ports, text: '' };
          expect(priceOf(form, 1, MODEL)).toBeCloseTo(end, 12);
        }
      }
    }
  });

  it('sends no more bytes, and no fewer, on several channels', () => {
    const schedule = ringAllReduce({ nranks: 4 });
    const [one, three] = [schedule, onChannels(schedule, 3)].map((some) => costOf(some, 4800));
    expect(three?.most.sentBytes).toBe(one?.most.sentBytes);
    expect(three?.most.messages).toBe(3 * (one?.most.messages ?? 0));
    expect(three?.seconds).toBeGreaterThan(one?.seconds ?? 0);
  });

  it('prices 64 ranks with 24,000 steps quickly', () => {
    const programs = lowerAll(onChannels(ringAllReduce({ nranks: 64 }), 3));
    const steps = programs.flatMap(({ channels }) => channels.flatMap((channel) => channel.steps));
    expect(steps.length).toBeGreaterThan(24_000);
    const found = costOfPrograms(programs);
    expect(found.critical.alphas).toBeGreaterThan(0);
  });
});

describe('wireElements()', () => {
  it('is exact for uneven and empty chunks too', () => {
    for (const nranks of [1, 2, 3, 5, 8]) {
      for (const count of [0, 1, 3, 1000, 10007]) {
        const wire = (schedule: Schedule): number =>
          lowerAll(schedule).reduce(
            (sum, program) => sum + wireElements(program, chunkTable(schedule, count)),
            0,
          );
        expect(wire(ringAllReduce({ nranks }))).toBe(2 * (nranks - 1) * count);
        expect(wire(ringAllGather({ nranks }))).toBe((nranks - 1) * nranks * count);
      }
    }
  });
});
