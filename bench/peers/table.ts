/** The comparison for people: for each collective and number of ranks, times and then ratios. */
import { formatBytes } from '../../common/bytes.ts';
import type { Comparison, PeerFailure, PeerRow } from './comparison.ts';
import { CONTESTANT_TITLES, type Contestant } from './contestants.ts';
import type { Missing } from './discovery.ts';

const SIZE_WIDTH = 9;
const TIME_WIDTH = 16;
const RATIO_WIDTH = 30;
const NOTHING = '-';

/** Who takes part, and who does not. */
export function contestantLines(
  contestants: readonly Contestant[],
  missing: readonly Missing[],
): readonly string[] {
  return [
    ...contestants.map(({ id, version, note }) => {
      const remark = note === undefined ? '' : `; ${note}`;
      return `# ${CONTESTANT_TITLES[id]}: ${version}${remark}`;
    }),
    ...missing.map(
      ({ id, reason, remedy }) => `# ${CONTESTANT_TITLES[id]}: LEFT OUT: ${reason} (${remedy})`,
    ),
  ];
}

/** All tables, one below the other. */
export function renderTables(rows: readonly PeerRow[]): string {
  const groups = new Map<string, PeerRow[]>();
  for (const row of rows) {
    const name = `${row.collective}, ${row.ranks} ranks`;
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups].map(([name, group]) => renderGroup(name, group)).join('\n\n');
}

function renderGroup(name: string, rows: readonly PeerRow[]): string {
  const { contestants = [], comparisons = [] } = rows[0] ?? {};
  const titles = contestants.map(({ contestant }) => CONTESTANT_TITLES[contestant]);
  const lines = [
    `${name}: median time of a call, microseconds`,
    tableLine('size', titles, TIME_WIDTH),
    ...rows.map((row) => tableLine(formatBytes(row.bytes), timeCells(row), TIME_WIDTH)),
  ];
  const pairs = pairsOf(rows);
  if (comparisons.length === 0 && pairs.length === 0) return lines.join('\n');
  return [
    ...lines,
    `${name}: peer's time / hlsim's (> 1: hlsim is faster), median [range] of the rounds, floor`,
    tableLine('size', pairs.map(pairTitle), RATIO_WIDTH),
    ...rows.map((row) => {
      const cells = pairs.map(({ hlsim, peer }) =>
        ratioCell(row.comparisons.find((one) => one.hlsim === hlsim && one.peer === peer)),
      );
      return tableLine(formatBytes(row.bytes), cells, RATIO_WIDTH);
    }),
  ].join('\n');
}

type Pair = Pick<Comparison, 'hlsim' | 'peer'>;

function pairsOf(rows: readonly PeerRow[]): readonly Pair[] {
  const pairs = new Map<string, Pair>();
  for (const { comparisons } of rows) {
    for (const { hlsim, peer } of comparisons) pairs.set(`${hlsim} ${peer}`, { hlsim, peer });
  }
  return [...pairs.values()];
}

function pairTitle({ hlsim, peer }: Pair): string {
  return `${hlsim.replace('hlsim-', '')} : ${CONTESTANT_TITLES[peer]}`;
}

function timeCells({ contestants }: PeerRow): readonly string[] {
  return contestants.map(({ timeUs }) => (timeUs === null ? NOTHING : significant(timeUs.median)));
}

/** `1.43 [1.20-1.61] >=1.3 met` */
export function ratioCell(comparison: Comparison | undefined): string {
  if (comparison === undefined) return NOTHING;
  const { ratio, floor, met } = comparison;
  const { median, min, max } = ratio;
  const measured = `${significant(median)} [${significant(min)}-${significant(max)}]`;
  if (floor === null) return measured;
  return `${measured} >=${floor} ${met ? 'met' : 'MISSED'}`;
}

/** How many floors are met, and those that are not, the worst first. */
export function floorLines(rows: readonly PeerRow[]): readonly string[] {
  const promised = rows.flatMap((row) =>
    row.comparisons.flatMap((one) =>
      one.floor === null ? [] : [{ ...one, row, floor: one.floor }],
    ),
  );
  const missed = promised
    .filter(({ met }) => met === false)
    .sort((a, b) => a.ratio.median / a.floor - b.ratio.median / b.floor);
  return [
    `# Floors: ${promised.length - missed.length} of ${promised.length} met`,
    ...missed.map((one) => {
      const { collective, ranks, bytes } = one.row;
      return `# MISSED ${pairTitle(one)}, ${collective}, ${ranks} ranks, ${formatBytes(bytes)}: ${ratioCell({ ...one, met: null, floor: null })}, floor ${one.floor}`;
    }),
  ];
}

export function failureLines(failures: readonly PeerFailure[]): readonly string[] {
  return failures.map(
    ({ contestant, ranks, round, what }) =>
      `# FAILED ${CONTESTANT_TITLES[contestant]}, ${ranks} ranks, round ${round + 1}: ${what}`,
  );
}

function tableLine(first: string, cells: readonly string[], width: number): string {
  return [first.padStart(SIZE_WIDTH), ...cells.map((cell) => cell.padStart(width))].join(' ');
}

/** Three digits, of small values two. */
function significant(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  if (value >= 1) return value.toFixed(2);
  return Number(value.toPrecision(2)).toString();
}
