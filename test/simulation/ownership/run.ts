/** One run of one seed: a random program, its end, and what was found. */
import { AsyncResource } from 'node:async_hooks';
import type { Finding } from './findings.ts';
import type { InvariantId } from './invariants.ts';
import type { Operation } from './operations/operation.ts';
import { OPERATIONS } from './operations/operations.ts';
import { spawnUser } from './operations/process-operations.ts';
import type { SimulationOptions } from './options.ts';
import { checkSilence, settle } from './quiescence.ts';
import { World } from './world.ts';

/** A kind that has not been done yet is drawn this much more often. */
const NEW_KIND_BOOST = 6;
const PAUSE_MS = 1;
/** Now and then long enough for a link to be given up. */
const LONG_PAUSE_RATE = 0.01;
const LONG_PAUSE_MS = 900;
const OPERATIONS_AT_A_TIME = 6;
/** Steps beyond those asked for, until every kind of operation has been done. */
const EXTRA_STEPS_MAX = 600;
/** Virtual time in which the last operations end: a collective may wait for two minutes. */
const PROGRAM_END_MS = 300_000;

export interface RunResult {
  readonly options: SimulationOptions;
  readonly digest: string;
  readonly histogram: Readonly<Record<string, number>>;
  readonly checks: Readonly<Partial<Record<InvariantId, number>>>;
  readonly accesses: number;
  readonly virtualMs: number;
  readonly finding: Finding | undefined;
  readonly trace: readonly string[];
}

/** What is wrong with a run, for people; `undefined` if nothing is. */
export function complaint({ options, finding }: RunResult): string | undefined {
  if (finding === undefined) return undefined;
  return `${finding.invariant} is violated with ownership ${options.ownership}: ${finding.message}`;
}

export async function runSeed(options: SimulationOptions): Promise<RunResult> {
  const world = new World(options);
  const program = new RandomProgram(world);
  try {
    await program.run();
    return {
      options,
      digest: world.trace.digest(),
      histogram: Object.fromEntries(program.histogram),
      checks: Object.fromEntries(world.findings.checks),
      accesses: world.model.accesses,
      virtualMs: world.scheduler.clock.now(),
      finding: world.findings.first,
      trace: world.trace.lines,
    };
  } finally {
    world.dispose();
  }
}

interface Drawn {
  readonly kind: string;
  readonly weight: number;
  execute(): Promise<string>;
}

class RandomProgram {
  readonly histogram = new Map(OPERATIONS.map(({ kind }) => [kind, 0]));
  readonly #world: World;
  readonly #underWay = new Set<Promise<void>>();
  #crash: Error | undefined;
  /** Of all kinds, with the boost of those that have not been done yet. */
  #totalWeight = OPERATIONS.reduce((sum, { weight }) => sum + weight * NEW_KIND_BOOST, 0);

  constructor(world: World) {
    this.#world = world;
  }

  async run(): Promise<void> {
    const world = this.#world;
    const { scheduler, options } = world;
    await scheduler.run(Promise.all(world.hosts.map(({ host }) => host.accepted)), 10_000);
    for (const host of world.hosts) {
      spawnUser(world, host, true);
      spawnUser(world, host, false);
    }
    for (let step = 0; step < options.steps || this.#wantsMore(step); step++) {
      world.progress = step / options.steps;
      this.#start(this.#draw());
      const isLong = world.chance(LONG_PAUSE_RATE);
      await scheduler.pass(world.prng.float() * (isLong ? LONG_PAUSE_MS : PAUSE_MS));
      while (this.#underWay.size >= OPERATIONS_AT_A_TIME) {
        await scheduler.run(Promise.race(this.#underWay), 60_000);
      }
      if (this.#isOver()) return;
    }
    await scheduler.run(Promise.all(this.#underWay), PROGRAM_END_MS);
    if (this.#isOver()) return;
    await settle(world);
    if (this.#isOver()) return;
    await checkSilence(world);
    if (this.#crash !== undefined) throw this.#crash;
  }

  /** Some kind has not been done yet. */
  #wantsMore(step: number): boolean {
    if (step >= this.#world.options.steps + EXTRA_STEPS_MAX) return false;
    return [...this.histogram.values()].includes(0);
  }

  #isOver(): boolean {
    if (this.#crash !== undefined) throw this.#crash;
    return this.#world.findings.first !== undefined;
  }

  /** A kind by weight, among those that have something to work on. */
  #draw(): Drawn {
    for (;;) {
      const operation = this.#byWeight();
      const execute = operation.prepare(this.#world);
      if (execute !== undefined) return { ...operation, execute };
    }
  }

  #byWeight(): Operation {
    let left = this.#world.prng.float() * this.#totalWeight;
    for (const operation of OPERATIONS) {
      const { kind, weight } = operation;
      left -= this.histogram.get(kind) === 0 ? weight * NEW_KIND_BOOST : weight;
      if (left < 0) return operation;
    }
    return OPERATIONS[0] as Operation;
  }

  #start({ kind, weight, execute }: Drawn): void {
    const { trace } = this.#world;
    const times = this.histogram.get(kind) ?? 0;
    if (times === 0) this.#totalWeight -= weight * (NEW_KIND_BOOST - 1);
    this.histogram.set(kind, times + 1);
    const number = this.#world.number();
    trace.add(`${number} ${kind}`);
    // Each operation is a thread of its own to whoever records which locks it holds.
    const thread = new AsyncResource('operation');
    const done: Promise<void> = thread
      .runInAsyncScope(execute)
      .then(
        (outcome) => trace.add(`${number} ${kind} -> ${outcome}`),
        (reason: Error) => {
          this.#crash ??= reason;
        },
      )
      .then(() => {
        this.#underWay.delete(done);
      });
    this.#underWay.add(done);
  }
}
