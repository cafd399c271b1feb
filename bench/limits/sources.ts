/** The programs that `npm run bench:limits` runs in each round, and how their output is read. */
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { HlsimError } from '../../common/errors.ts';
import { type ChildCommand, runChildren } from '../peers/children.ts';
import { type Contestant, HLSIM_IDS, hlsimRun } from '../peers/contestants.ts';
import { type Discovery, findContestants, isMissing } from '../peers/discovery.ts';
import type { HlsimId } from '../peers/floors.ts';
import { rankLines, timingsOf } from '../peers/lines.ts';
import { projectFile } from '../peers/project-files.ts';
import { sweepOf } from '../peers/sweep.ts';
import { hlsimKey, WRITE } from './fractions.ts';
import {
  type BoundRequest,
  cPlan,
  limitArgument,
  limitKey,
  nodePlan,
  SOCKET_ITERATIONS,
} from './plan.ts';

/** One run of one program. */
export interface LimitSource {
  readonly name: string;
  commands(folder: string): readonly ChildCommand[];
  /** Microseconds by key. Throws an `HlsimError` for output that cannot be read. */
  figures(stdout: readonly string[]): ReadonlyMap<string, number>;
}

/** What is left out, and what to do about it. */
export interface MissingSource {
  readonly name: string;
  readonly reason: string;
  readonly remedy: string;
}

/** Built beside this file. */
const NODE_PROGRAM = './node-limits.js';
const WRITE_PROGRAM = './write-program.js';
const COMPILE_DEADLINE_MS = 60_000;
const GCC_REMEDY = 'apt-get install gcc libc6-dev';

/** Compiles what is to be compiled. */
export async function findSources(
  request: BoundRequest,
  discovery: Discovery,
): Promise<{
  readonly sources: readonly LimitSource[];
  readonly missing: readonly MissingSource[];
}> {
  const c = await cSource(request, discovery);
  const found = await findContestants(HLSIM_IDS, discovery);
  const hlsim = found
    .filter((one): one is Contestant => !isMissing(one))
    .flatMap((contestant) => request.ranks.map((ranks) => hlsimSource(contestant, ranks, request)));
  const writes = found
    .filter((one): one is Contestant => !isMissing(one) && one.id === 'hlsim-ws')
    .map(writeSource);
  const missing = found
    .filter(isMissing)
    .map(({ id, reason, remedy }) => ({ name: id, reason, remedy }));
  return 'reason' in c
    ? { sources: [nodeSource(), ...writes, ...hlsim], missing: [c, ...missing] }
    : { sources: [c, nodeSource(), ...writes, ...hlsim], missing };
}

async function cSource(
  request: BoundRequest,
  { folder, scheduler, signal }: Discovery,
): Promise<LimitSource | MissingSource> {
  const binary = join(folder, 'c-limits');
  const source = projectFile('bench/limits/c-limits.c');
  // For this machine alone: the limit is what it can do.
  const args = ['-O3', '-march=native', '-o', binary, source];
  const compiled = await runChildren([{ program: 'gcc', args }], {
    ...{ scheduler, signal, deadlineMs: COMPILE_DEADLINE_MS },
  });
  if (compiled.failure !== undefined) {
    const reason = `gcc ${compiled.failure} ${compiled.stderr}`.trim();
    return { name: 'C program and all bounds', reason, remedy: GCC_REMEDY };
  }
  const programArgs = cPlan(request).map(limitArgument);
  return {
    name: 'C program',
    commands: () => [{ program: binary, args: programArgs }],
    figures: ([stdout = '']) => limitFigures(stdout),
  };
}

function nodeSource(): LimitSource {
  const program = fileURLToPath(new URL(NODE_PROGRAM, import.meta.url));
  return {
    name: 'Node.js program',
    commands: (folder) => [
      { program: process.execPath, args: [program, folder, ...nodePlan().map(limitArgument)] },
    ],
    figures: ([stdout = '']) => limitFigures(stdout),
  };
}

function hlsimSource(contestant: Contestant, ranks: number, { sizes }: BoundRequest): LimitSource {
  const collectives = ['all_reduce', 'all_gather'] as const;
  const plan = sweepOf({ collectives, sizes, quick: false }, ranks);
  return {
    name: `${contestant.id} on ${ranks} ranks`,
    commands: (folder) => contestant.commands({ ranks, plan, folder }),
    figures(stdout) {
      const timings = [...timingsOf(rankLines(stdout.join('')), plan).values()];
      const wrong = timings.reduce((sum, timing) => sum + timing.wrong, 0);
      if (wrong > 0) {
        throw new HlsimError(
          'HLSIM_JOB_FAILED',
          `Expected right results but found ${wrong} wrong elements`,
        );
      }
      return new Map(
        plan.map((measurement, index) => [
          hlsimKey(contestant.id as HlsimId, measurement),
          timings[index]?.timeUs ?? 0,
        ]),
      );
    },
  };
}

/** RDMA WRITE over whatever `ws` goes over. */
function writeSource({ choice = { flags: [], provider: undefined } }: Contestant): LimitSource {
  const program = fileURLToPath(new URL(WRITE_PROGRAM, import.meta.url));
  const measurement = { ...WRITE, limit: 'write', iterations: SOCKET_ITERATIONS };
  const run = {
    ...{ script: projectFile('bin/hlsim.js'), program, choice },
    ...{ ranks: WRITE.ranks, largest: WRITE.bytes, args: [limitArgument(measurement)] },
  };
  return {
    name: 'hlsim-ws RDMA WRITE',
    commands: () => [hlsimRun(run)],
    figures(stdout) {
      const lines = stdout.join('').replaceAll(/^\[\d+\] /gm, '');
      const timeUs = limitFigures(lines).get(limitKey(measurement));
      if (timeUs !== undefined) return new Map([[hlsimKey('hlsim-ws', WRITE), timeUs]]);
      throw new HlsimError('HLSIM_PROTOCOL_ERROR', 'Expected a line of the write but found none');
    },
  };
}

const limitLine = z.strictObject({
  limit: z.string(),
  ranks: z.int().positive(),
  bytes: z.int().positive(),
  timeUs: z.number().positive(),
});

/** @throws HlsimError `HLSIM_PROTOCOL_ERROR` for a line that is none */
export function limitFigures(stdout: string): ReadonlyMap<string, number> {
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return new Map(
    lines.map((line) => {
      const parsed = limitLine.safeParse(jsonOf(line));
      if (parsed.success) return [limitKey(parsed.data), parsed.data.timeUs];
      throw new HlsimError(
        'HLSIM_PROTOCOL_ERROR',
        `Expected a measurement as a line of JSON but found ${JSON.stringify(line.slice(0, 200))}`,
      );
    }),
  );
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // What is no JSON is no measurement either; the caller says what was found.
    return undefined;
  }
}
