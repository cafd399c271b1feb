/** Runs the matrix on real clusters of processes, one per number of ranks, and compares every result. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ranksOf } from '../../../common/math.ts';
import { describeCase } from './call.ts';
import type { MatrixCase } from './cases.ts';
import { expectedDigests } from './reference.ts';
import { type CaseReport, readReports, reportFile } from './report.ts';
import { CLUSTERS, type Cluster, topologyOf } from './ways.ts';

/** The built program: user programs are no TypeScript. */
const TOP = new URL(
  import.meta.url.endsWith('.js') ? '../../../../' : '../../../',
  import.meta.url,
);
const PROGRAM = fileURLToPath(new URL('dist/test/e2e/matrix/program.js', TOP));
/** Buffers and scratch of the largest case. */
const HBM = '512M';

/** `hlsim` with these words, to its end. */
export type RunHlsim = (args: readonly string[]) => Promise<{
  readonly code: number | null;
  readonly stderr: string;
}>;

export interface ClusterOutcome {
  readonly cluster: Cluster;
  readonly cases: readonly MatrixCase[];
  /** Results that were compared: one of each rank. */
  readonly results: number;
  /** What was wrong, a sentence each. */
  readonly wrong: readonly string[];
  /** Cases in which something was. */
  readonly wrongCases: ReadonlySet<number>;
}

/** Runs the cases of every cluster, one cluster after the other. */
export async function* runMatrix(
  cases: readonly MatrixCase[],
  hlsim: RunHlsim,
): AsyncGenerator<ClusterOutcome> {
  const directory = mkdtempSync(join(tmpdir(), 'hlsim-matrix-'));
  try {
    for (const cluster of CLUSTERS) {
      const own = cases.filter((one) => one.cluster === cluster);
      if (own.length === 0) continue;
      const file = join(directory, `${cluster}.json`);
      writeFileSync(file, JSON.stringify(own));
      yield await runCluster(cluster, own, file, hlsim);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function runCluster(
  cluster: Cluster,
  cases: readonly MatrixCase[],
  file: string,
  hlsim: RunHlsim,
): Promise<ClusterOutcome> {
  const { boxes, ranksPerBox } = topologyOf(cluster);
  const shape = ['--hosts', String(boxes), '--devices', String(ranksPerBox), '--hbm', HBM];
  const running = hlsim(['run', PROGRAM, ...shape, '--', file]);
  // While the ranks work.
  const expected = new Map<number, readonly string[]>();
  for (const one of cases) {
    expected.set(one.id, expectedDigests(one));
    await turn();
  }
  const { code, stderr } = await running;
  const reports = ranksOf(boxes * ranksPerBox).map((rank) => readReports(reportFile(file, rank)));
  const wrong: string[] = code === 0 ? [] : [`on ${cluster} exit code ${code}: ${stderr.trim()}`];
  const wrongCases = new Set<number>();
  for (const one of cases) {
    const found = reports.flatMap((ofRank, rank) =>
      compare(one, rank, expected.get(one.id)?.[rank], ofRank.get(one.id)),
    );
    if (found.length > 0) wrongCases.add(one.id);
    wrong.push(...found);
  }
  const results = reports.reduce((sum, { size }) => sum + size, 0);
  return { cluster, cases, results, wrong, wrongCases };
}

function compare(
  one: MatrixCase,
  rank: number,
  expected: string | undefined,
  report: CaseReport | undefined,
): string[] {
  const where = `rank ${rank} in ${describeCase(one)}`;
  if (report === undefined) return [`no result of ${where}`];
  const { digest, inputKept, choice } = report;
  const wrong: string[] = [];
  if (digest !== expected) wrong.push(`other bits than the reference on ${where}`);
  if (inputKept === false) wrong.push(`an input that was overwritten on ${where}`);
  if (one.collective === 'sendrecv') return wrong;
  const { algorithm, channels, chunks } = choice ?? { algorithm: 'nothing', channels: 0 };
  const isAsAsked =
    algorithm === one.algorithm && channels === one.channels && chunks === undefined;
  if (!isAsAsked) wrong.push(`${algorithm} x${channels} (${chunks} chunks) instead, on ${where}`);
  return wrong;
}
