/**
 * How long the time model takes to predict large collectives, and the most memory that the process has had by
 * then. One after the other, each once, in one process; asserts nothing about time.
 */
import process from 'node:process';
import { buildSchedule } from '../collectives/table.ts';
import { wallClock } from '../common/clock.ts';
import { predict } from '../timing/engine/predict.ts';
import type { Network } from '../timing/network.ts';
import { builtInTopology } from '../timing/topology/built-in.ts';
import { networkOf } from '../timing/topology/network.ts';

const MIB = 2 ** 20;

interface Job {
  readonly work: string;
  readonly topology: 'flat' | 'hls2';
  /** Cards of `flat`, boxes of the others. */
  readonly size: number;
  readonly algorithm: string;
  readonly bytes: number;
  readonly ranks: 'alike' | 'exact';
  /** Every message in one slice, for comparison with simulators that know no slices. */
  readonly isWhole?: true;
}

const RING = { algorithm: 'ring', topology: 'flat', bytes: 1024 * MIB, isWhole: true } as const;
const DOUBLING = { algorithm: 'recursiveDoubling', topology: 'flat', bytes: MIB } as const;
const DIRECT = { algorithm: 'direct', topology: 'flat', bytes: 64 * MIB, isWhole: true } as const;

const JOBS: readonly Job[] = [
  { work: 'flat ring all-reduce, 1,024 ranks', ...RING, size: 1024, ranks: 'exact' },
  { work: 'flat ring all-reduce, 4,096 ranks', ...RING, size: 4096, ranks: 'exact' },
  { work: 'flat ring all-reduce, 4,096 ranks', ...RING, size: 4096, ranks: 'alike' },
  { work: 'log-step all-reduce, 16,384 ranks', ...DOUBLING, size: 16_384, ranks: 'alike' },
  { work: 'log-step all-reduce, 16,384 ranks', ...DOUBLING, size: 16_384, ranks: 'exact' },
  {
    ...{ work: "HCCL's all-reduce, hls2 x 2,048 boxes, 1 GiB", algorithm: 'hccl' },
    ...{ topology: 'hls2', size: 2048, bytes: 1024 * MIB, ranks: 'alike' },
  },
  { work: 'all-pairs all-reduce, 1,024 ranks', ...DIRECT, size: 1024, ranks: 'alike' },
  { work: 'all-pairs all-reduce, 1,024 ranks', ...DIRECT, size: 1024, ranks: 'exact' },
];

const BYTES_PER_ELEMENT = 4;
const SLICE_BYTES = 512 * 1024;
const SLOTS = 8;

function networkFor({ topology, size }: Job): Network {
  const howMany = topology === 'flat' ? { cards: size } : { boxes: size };
  return networkOf(builtInTopology(topology), { ...howMany, path: 'direct', changes: [] });
}

/** A row of the table: the network, the lowering and the simulation are timed, each on its own. */
function row(job: Job): readonly string[] {
  const began = wallClock.now();
  const network = networkFor(job);
  const { nranks, topology } = network;
  const isOfBlocks = job.algorithm !== 'recursiveDoubling';
  const work = buildSchedule({
    ...{ collective: 'allReduce', algorithm: job.algorithm, topology },
    ...(isOfBlocks ? { chunks: nranks } : {}),
  });
  const made = wallClock.now();
  const prediction = predict({
    ...{ work, network, model: 'flow', ranks: job.ranks, bytesPerElement: BYTES_PER_ELEMENT },
    counts: job.bytes / BYTES_PER_ELEMENT,
    execution: { sliceBytes: job.isWhole ? job.bytes : SLICE_BYTES, slotsPerConnection: SLOTS },
  });
  const done = wallClock.now();
  const answer =
    prediction.kind === 'predicted'
      ? [`${(prediction.seconds * 1e3).toFixed(3)} ms`, String(prediction.messages)]
      : ['stuck', '-'];
  const megabytes = process.resourceUsage().maxRSS / 1024;
  return [
    ...[job.work, job.ranks, ...answer, `${((made - began) / 1e3).toFixed(3)} s`],
    ...[`${((done - made) / 1e3).toFixed(3)} s`, `${megabytes.toFixed(0)} MiB`],
  ];
}

const HEADINGS = ['work', 'ranks', 'virtual time', 'messages', 'network', 'predict', 'peak RSS'];

function write(cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

write(HEADINGS);
write(HEADINGS.map(() => '---'));
for (const job of JOBS) write(row(job));
