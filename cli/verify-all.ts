/** Proves every built-in algorithm for every number of ranks up to a bound. */
import type { AlgorithmRow } from '../collectives/algorithm-row.ts';
import { ALGORITHMS } from '../collectives/algorithms.ts';
import type { CollectiveName } from '../collectives/collective.ts';
import { lowerAll } from '../collectives/lower.ts';
import type { Placement } from '../collectives/msccl/geometry.ts';
import type { Program } from '../collectives/program.ts';
import { flatTopology, ranksIn, type Topology } from '../collectives/topology.ts';
import { verify } from '../collectives/verify.ts';
import { PLACEMENT_WORDS } from './schedule-verdict.ts';
import { renderTable } from './table.ts';
import { counted } from './wording.ts';

export const ALL_RANKS_MAX = 64;
const RANKS_PER_BOX = 8;

/** What one algorithm came to for one collective. */
export interface AlgorithmVerdict {
  readonly algorithm: string;
  readonly collective: CollectiveName;
  /** Numbers of ranks for which it was built, the others being against its restrictions. */
  readonly ranks: readonly number[];
  /** Proofs, of which there is one for each number of ranks, arrangement in boxes and placement. */
  readonly proofs: number;
  readonly refuted: readonly Refutation[];
}

export interface Refutation {
  readonly ranks: number;
  readonly boxes: number;
  readonly placement: Placement;
  /** The first finding. */
  readonly finding: string;
}

export interface VerifyAllOptions {
  /** `ALL_RANKS_MAX`, or fewer. */
  readonly ranksMax: number;
  readonly depth: number | undefined;
  /** Called before each proof, which takes a moment; what it throws ends everything. */
  readonly before: (what: string) => Promise<void>;
}

/** One row after the other, as their verdicts are known. */
export async function* verifyAll(options: VerifyAllOptions): AsyncGenerator<AlgorithmVerdict> {
  for (const row of ALGORITHMS) {
    for (const collective of row.collectives) yield await verifyRow(row, collective, options);
  }
}

async function verifyRow(
  row: AlgorithmRow,
  collective: CollectiveName,
  { ranksMax, depth, before }: VerifyAllOptions,
): Promise<AlgorithmVerdict> {
  const ranks = new Set<number>();
  const refuted: Refutation[] = [];
  let proofs = 0;
  for (let nranks = 1; nranks <= ranksMax; nranks++) {
    await before(`${row.name} ${collective} for ${nranks} of ${ranksMax} ranks`);
    for (const topology of topologiesOf(row, collective, nranks)) {
      for (const [placement, programs] of programsOf(row, collective, topology)) {
        const inPlace = placement === 'inPlace';
        const { proved, findings } = verify(programs, {
          inPlace,
          ...(depth === undefined ? {} : { depth }),
        });
        ranks.add(nranks);
        proofs++;
        const finding = findings[0]?.message ?? '';
        if (!proved) refuted.push({ ranks: nranks, boxes: topology.boxes, placement, finding });
      }
    }
  }
  return { algorithm: row.name, collective, ranks: [...ranks], proofs, refuted };
}

/**
 * One rank in each box; and for algorithms that tell boxes apart also one box, and boxes of 8 as those
 * of the machines that are simulated.
 */
function topologiesOf(row: AlgorithmRow, collective: CollectiveName, nranks: number): Topology[] {
  const flat = flatTopology(nranks);
  if (nranks === 1 || !tellsBoxesApart(row, collective, nranks)) return [flat];
  const topologies = [flat, { boxes: 1, ranksPerBox: nranks }];
  if (nranks > RANKS_PER_BOX && nranks % RANKS_PER_BOX === 0) {
    topologies.push({ boxes: nranks / RANKS_PER_BOX, ranksPerBox: RANKS_PER_BOX });
  }
  return topologies;
}

/** Whether the algorithm looks at the topology at all when it is built. */
function tellsBoxesApart(row: AlgorithmRow, collective: CollectiveName, nranks: number): boolean {
  let isAsked = false;
  const options = {
    collective,
    nranks,
    get topology() {
      isAsked = true;
      return flatTopology(nranks);
    },
  };
  if (row.restrictions.every(({ holds }) => holds(options))) row.build(options);
  return isAsked;
}

/** Collectives that put other data where their input was: their schedules differ in place. */
const DIFFER_IN_PLACE: ReadonlySet<CollectiveName> = new Set(['allToAll', 'allToAllV', 'sendRecv']);
const PLACEMENTS: readonly Placement[] = ['outOfPlace', 'inPlace'];

/** The programs for each placement; none if the algorithm cannot do it for so many ranks. */
function* programsOf(
  row: AlgorithmRow,
  collective: CollectiveName,
  topology: Topology,
): Generator<[Placement, readonly Program[]]> {
  let shared: readonly Program[] | undefined;
  for (const placement of PLACEMENTS) {
    const options = { collective, nranks: ranksIn(topology), root: 0, topology, placement };
    if (!row.restrictions.every(({ holds }) => holds(options))) continue;
    const programs = shared ?? lowerAll(row.build(options));
    if (!DIFFER_IN_PLACE.has(collective)) shared = programs;
    yield [placement, programs];
  }
}

/** Lines for people: a table, then a sentence for each thing that was refuted. */
export function algorithmLines(verdicts: readonly AlgorithmVerdict[]): string[] {
  const rows = verdicts.map(({ algorithm, collective, ranks, proofs, refuted }) => {
    const proved = proofs - refuted.length;
    return [collective, algorithm, rangesOf(ranks), `${proved}`, `${refuted.length}`];
  });
  const sentences = verdicts.flatMap(({ algorithm, collective, refuted }) =>
    refuted.map(({ ranks, boxes, placement, finding }) => {
      const where = `${counted(ranks, 'rank')} in ${counted(boxes, 'box', 'boxes')}`;
      return `${algorithm} ${collective}, ${where}, ${PLACEMENT_WORDS[placement]}: ${finding}`;
    }),
  );
  return [
    renderTable(['COLLECTIVE', 'ALGORITHM', 'RANKS', 'PROVED', 'REFUTED'], rows),
    ...sentences,
  ];
}

/** Ranges of ranks that a table has room for. */
const RANGES_MAX = 8;

/** `1-8, 16` of 1, 2, ... 8, 16; of very many ranges the first ones and the last. */
function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  const texts = ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  if (texts.length <= RANGES_MAX) return texts.join(', ');
  return `${texts.slice(0, RANGES_MAX - 1).join(', ')}, ... ${texts.at(-1)}`;
}
