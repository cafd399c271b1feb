/**
 * How fast 64 MiB go from one process to another, in one direction and in both at once: by RDMA WRITE, over
 * a bare link, over a plain socket of Node.js, and in a C program, over TCP and over Unix sockets. The
 * contestants take turns; ratios to the C program are taken within a round.
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { wallClock } from '../common/clock.ts';
import { wallScheduler } from '../common/scheduler.ts';
import {
  CONTESTANTS,
  type Contestant,
  createEnd,
  RUN_BYTES,
} from './transport-rate/contestants.ts';
import type { End, SocketKind } from './transport-rate/end.ts';
import type { Answer, Order } from './transport-rate/peer.ts';

type Directions = 'one' | 'both';
type Name = 'C' | Contestant;

const ROUNDS = 15;
const WARM_UP_ROUNDS = 4;
const KINDS: readonly SocketKind[] = ['tcp', 'unix'];
const DIRECTIONS: readonly Directions[] = ['one', 'both'];

interface Runner {
  readonly name: Name;
  /** Seconds of one run. */
  run(): Promise<number>;
  close(): Promise<void>;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'hlsim-rate-'));
  try {
    const program = compiled(directory);
    if (program === undefined) write('The C program is left out: no gcc here');
    for (const kind of KINDS) {
      for (const directions of DIRECTIONS) await compare(kind, directions, program);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function compare(
  kind: SocketKind,
  directions: Directions,
  program: string | undefined,
): Promise<void> {
  const runners: Runner[] = program === undefined ? [] : [cRunner(program, kind, directions)];
  for (const name of CONTESTANTS) runners.push(await nodeRunner(name, kind, directions));
  const seconds = new Map<Name, number[]>(runners.map(({ name }) => [name, []]));
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    for (const { name, run } of runners) {
      const duration = await run();
      if (round >= WARM_UP_ROUNDS) seconds.get(name)?.push(duration);
    }
  }
  for (const runner of runners) await runner.close();
  write(`\n64 MiB over ${kind}, ${directions === 'one' ? 'one direction' : 'both directions'}`);
  for (const { name } of runners) write(rowOf(name, seconds));
}

function rowOf(name: Name, seconds: ReadonlyMap<Name, readonly number[]>): string {
  const own = seconds.get(name) ?? [];
  const base = seconds.get('C') ?? seconds.get('node') ?? [];
  const rate = median(own.map((duration) => RUN_BYTES / duration / 1e9));
  const ratio = median(own.map((duration, round) => (base[round] ?? duration) / duration));
  return `  ${name.padEnd(6)} ${rate.toFixed(2).padStart(6)} GB/s each way   ${ratio.toFixed(2)} of ${seconds.has('C') ? 'C' : 'node'}`;
}

async function nodeRunner(
  name: Contestant,
  kind: SocketKind,
  directions: Directions,
): Promise<Runner> {
  const child = fork(fileURLToPath(new URL('./transport-rate/peer.js', import.meta.url)));
  const init = { kind, scheduler: wallScheduler, runBytes: RUN_BYTES, name };
  const end: End = await createEnd(name, init);
  const opened = await ordered(child, {
    order: 'open',
    contestant: name,
    kind,
    introduction: end.introduction,
  });
  await end.meet(opened.introduction ?? {});
  return {
    name,
    async run() {
      const start = wallClock.now();
      const other = directions === 'both' ? ordered(child, { order: 'send' }) : undefined;
      await end.send();
      await other;
      return (wallClock.now() - start) / 1000;
    },
    async close() {
      await Promise.all([ordered(child, { order: 'close' }), end.close()]);
      child.disconnect();
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
}

function ordered(child: ChildProcess, order: Order): Promise<Answer> {
  return new Promise((resolve) => {
    child.once('message', (answer) => resolve(answer as Answer));
    child.send(order);
  });
}

function compiled(directory: string): string | undefined {
  const source = fileURLToPath(
    new URL('../../bench/transport-rate/socket-rate.c', import.meta.url),
  );
  const program = join(directory, 'socket-rate');
  try {
    execFileSync('gcc', ['-O2', '-pthread', '-o', program, source]);
    return program;
  } catch {
    return undefined;
  }
}

function cRunner(program: string, kind: SocketKind, directions: Directions): Runner {
  const child = spawn(program, [kind, directions, String(RUN_BYTES)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout);
  return {
    name: 'C',
    run: () =>
      new Promise((resolve) => {
        lines.once('line', (line) => resolve(Number(line)));
        child.stdin.write('\n');
      }),
    async close() {
      child.stdin.end();
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main();
