/**
 * Simulates one rank of each kind, and every rank, and compares: all algorithms that say which ranks are alike, on
 * built-in topologies, at every power of two and at odd numbers of ranks up to 512. The times must be the same to
 * the last bit; exits with 1 where they are not. Minutes; `--topology hls2 --from 8 --to 64` does a part.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { COLLECTIVES } from '../collectives/collective.ts';
import { countsOfProblem } from '../collectives/problem-size.ts';
import type { Schedule } from '../collectives/schedule.ts';
import { algorithmsFor, type BuildRequest, buildSchedule } from '../collectives/table.ts';
import { assert } from '../common/assert.ts';
import { HlsimError } from '../common/errors.ts';
import { predict } from '../timing/engine/predict.ts';
import type { Network } from '../timing/network.ts';
import type { Predicted, PredictionRequest } from '../timing/prediction.ts';
import { builtInTopology } from '../timing/topology/built-in.ts';
import { networkOf } from '../timing/topology/network.ts';

/** Of boxes of eight: within one, and as many whole ones. Others are not alike, and are simulated in full. */
const IN_BOXES = [2, 3, 4, 5, 6, 7, 8, 16, 24, 32, 40, 56, 64, 96, 128, 248, 256, 512];
const RANKS = {
  flat: [2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 31, 32, 33, 48, 64, 100, 128, 255, 256, 384, 512],
  hls2: IN_BOXES,
  hls3: IN_BOXES,
} as const;
const RANKS_MAX = 512;
/** Above it only one slice to a message: the others take three times as long. */
const SLICED_RANKS_MAX = 64;
const BYTES_PER_ELEMENT = 4;
/** Of each chunk: in one slice, and in several of which the last is shorter. */
const ELEMENTS = [1, 2500];
const EXECUTION = { sliceBytes: 4096, slotsPerConnection: 2 };
/** Messages of all ranks, beyond which a case would take memory and minutes of its own. */
const MESSAGES_MAX = 2 ** 20;
const TWO_LEVEL_PARTS = [
  '(ring,ring)',
  '(direct,recursiveDoubling)',
  '(binomialTree,binomialTree)',
];

interface Row {
  schedules: number;
  cases: number;
  /** Ranks that did not have to be simulated, of all that were. */
  saved: number;
  simulated: number;
  readonly different: string[];
  readonly omitted: string[];
}

/** With one chunk or as many as there are ranks, as it needs; `undefined` if it cannot be on these ranks. */
function buildable(request: BuildRequest, nranks: number): Schedule | undefined {
  for (const chunks of [1, nranks, 2 * nranks]) {
    try {
      return buildSchedule({ chunks, ...request });
    } catch (error) {
      if (!(error instanceof HlsimError)) throw error;
    }
  }
  return undefined;
}

function* schedulesOn({ topology, nranks }: Network): Generator<[name: string, work: Schedule]> {
  for (const collective of COLLECTIVES) {
    for (const plain of algorithmsFor(collective)) {
      const names =
        plain === 'hierarchical' ? TWO_LEVEL_PARTS.map((parts) => plain + parts) : [plain];
      for (const algorithm of names) {
        const work = buildable({ collective, algorithm, topology }, nranks);
        if (work?.alike !== undefined) yield [`${collective} ${algorithm}`, work];
      }
    }
  }
}

function predicted(request: Omit<PredictionRequest, 'ranks'>, ranks: 'exact' | 'alike'): Predicted {
  const prediction = predict({ ...request, ranks });
  assert(prediction.kind === 'predicted', `Expected a time of ${ranks} ranks but found it stuck`);
  return prediction;
}

/** Messages of all ranks, from those of the first. */
function messagesOf({ rounds, nranks }: Schedule): number {
  let messages = 0;
  for (const round of rounds(0)) messages += round.filter(({ src }) => src === 0).length;
  return messages * nranks;
}

function compare(network: Network, name: string, work: Schedule, row: Row): void {
  if (messagesOf(work) > MESSAGES_MAX) {
    row.omitted.push(`${network.name}, ${name}`);
    return;
  }
  row.schedules++;
  for (const elements of network.nranks > SLICED_RANKS_MAX ? ELEMENTS.slice(0, 1) : ELEMENTS) {
    const total = network.nranks * work.chunks * elements;
    const counts = countsOfProblem(work, total, work.chunks);
    const bytesPerElement = BYTES_PER_ELEMENT;
    const request = { work, counts, bytesPerElement, network, execution: EXECUTION } as const;
    const exact = predicted({ ...request, model: 'flow' }, 'exact');
    const alike = predicted({ ...request, model: 'flow' }, 'alike');
    row.cases++;
    row.simulated += exact.simulatedRanks;
    row.saved += exact.simulatedRanks - alike.simulatedRanks;
    if (exact.seconds === alike.seconds) continue;
    const both = `${exact.seconds} s of all, ${alike.seconds} s by symmetry`;
    row.different.push(`${network.name}, ${name}, ${elements} elements a chunk: ${both}`);
  }
}

function write(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

interface Part {
  readonly topology?: string | undefined;
  readonly from: number;
  readonly to: number;
}

function rowOf(network: Network): Row {
  const row: Row = {
    ...{ schedules: 0, cases: 0, saved: 0, simulated: 0 },
    ...{ different: [], omitted: [] },
  };
  for (const [name, work] of schedulesOn(network)) compare(network, name, work, row);
  return row;
}

/** Says what was left out and what differs, and how often. */
function main({ topology: only, from, to }: Part): number {
  const [different, omitted]: [string[], string[]] = [[], []];
  const headings = [
    'topology',
    'ranks',
    'algorithms',
    'cases',
    'simulated',
    'different',
    'omitted',
  ];
  write(headings);
  write(headings.map(() => '---'));
  for (const [topology, all] of Object.entries(RANKS)) {
    if (only !== undefined && only !== topology) continue;
    for (const nranks of all.filter((ranks) => ranks >= from && ranks <= to)) {
      const row = rowOf(networkOf(builtInTopology(topology), { cards: nranks }));
      const { schedules, cases, saved, simulated } = row;
      const part = `${(100 * (1 - saved / Math.max(1, simulated))).toFixed(1)} %`;
      const counts = [row.different.length, row.omitted.length];
      write([topology, nranks, schedules, cases, part, ...counts]);
      different.push(...row.different);
      omitted.push(...row.omitted);
    }
  }
  for (const one of omitted) process.stdout.write(`Omitted: ${one}\n`);
  for (const one of different) process.stdout.write(`Different: ${one}\n`);
  process.stdout.write(`${different.length} cases are different\n`);
  return different.length;
}

const { values } = parseArgs({
  options: {
    topology: { type: 'string' },
    from: { type: 'string', default: '2' },
    to: { type: 'string', default: String(RANKS_MAX) },
  },
});
const part = { topology: values.topology, from: Number(values.from), to: Number(values.to) };
process.exitCode = main(part) === 0 ? 0 : 1;
