/**
 * A schedule that a program has brought along as MSCCL XML: read, proved, and made ready for an engine
 * that overlaps steps. What is not proved is not run.
 */
import { createHash } from 'node:crypto';
import type { CollectiveName } from '../../collectives/collective.ts';
import { withExplicitOrder } from '../../collectives/explicit-order.ts';
import { type MscclSchedule, readMscclXml } from '../../collectives/msccl/read.ts';
import type { Program } from '../../collectives/program.ts';
import type { Rank } from '../../collectives/schedule.ts';
import { smallestDepth, verify } from '../../collectives/verify.ts';
import { defined } from '../../common/assert.ts';
import { invalidArgument } from './failure.ts';
import type { HcclSchedule } from './hccl.ts';
import { DEPTH_MAX, LANES_MAX, PROGRAM_CHANNELS_MAX, PROVED_DEPTH } from './lanes.ts';

type Placement = 'inPlace' | 'outOfPlace';

/** How much of a name is kept: with the digest it goes into every header. */
const NAME_CHARACTERS_MAX = 64;
const DIGEST_CHARACTERS = 16;

export class LoadedSchedule {
  readonly collective: CollectiveName;
  /** `msccl:NAME#DIGEST`: what ranks compare. */
  readonly algorithm: string;
  readonly channels: number;
  readonly chunks: number;
  readonly root: Rank;
  /** Counts must be a multiple of this. */
  readonly multiple: number;
  /** Messages per connection without which it does not end. */
  readonly depth: number;
  readonly #name: string;
  readonly #programs: ReadonlyMap<Placement, Program>;

  /** Throws hcclInvalidArgument, or `HlsimError` HLSIM_PROGRAM_UNREADABLE, for one that cannot be used. */
  constructor(text: string, rank: Rank, nranks: number) {
    const schedule = readMscclXml(text);
    const { name, collective, programs } = schedule;
    expectUsable(schedule, nranks);
    this.depth = expectDepth(schedule);
    const own = new Map<Placement, Program>();
    for (const placement of schedule.placements) {
      const inPlace = placement === 'inPlace';
      expectProved(schedule, placement);
      const ordered = withExplicitOrder(programs, { inPlace });
      expectRoom(name, ordered);
      own.set(placement, defined(ordered[rank], 'the program of this rank'));
    }
    const { chunks, root } = defined(programs[0], 'a program');
    const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARACTERS);
    const lanes = programs.flatMap(({ channels }) => channels.map(({ lane }) => lane));
    this.collective = collective;
    this.algorithm = `msccl:${asciiOf(name)}#${digest}`;
    this.channels = 1 + Math.max(0, ...lanes);
    this.chunks = chunks;
    this.root = root;
    const blocks = collective === 'allToAll' ? nranks : 1;
    this.multiple = schedule.equalChunks ? chunks * blocks : 1;
    this.#name = name;
    this.#programs = own;
  }

  /** What the program that loaded it is told. */
  describe(): HcclSchedule {
    const { collective, algorithm, multiple } = this;
    const placements = [...this.#programs.keys()];
    return { name: this.#name, collective, algorithm, placements, multiple };
  }

  /** This rank's program; `undefined` if the schedule does not say how to do it with such buffers. */
  program(placement: Placement): Program | undefined {
    return this.#programs.get(placement);
  }

  /** Throws hcclInvalidArgument for a count that it is not proved for. */
  expectCount(count: number): void {
    if (count % this.multiple === 0) return;
    throw invalidArgument(
      `Expected a count that is a multiple of ${this.multiple}, for which alone ${this.algorithm} is proved, but found ${count}`,
    );
  }
}

function expectUsable({ name, collective, nranks, objection }: MscclSchedule, have: number): void {
  const what = `schedule ${name === '' ? 'without a name' : name}`;
  if (objection !== undefined)
    throw invalidArgument(`Expected a sound ${what} but found: ${objection}`);
  if (nranks !== have) {
    throw invalidArgument(`Expected a schedule for ${have} ranks but ${what} is for ${nranks}`);
  }
  if (collective === 'custom') {
    throw invalidArgument(
      `Expected a collective that HCCL has but ${what} names none: nothing would ever call it`,
    );
  }
}

function expectProved(schedule: MscclSchedule, placement: Placement): void {
  const { name, programs, equalChunks, labelOf } = schedule;
  const { proved, findings } = verify(programs, {
    inPlace: placement === 'inPlace',
    order: 'messages',
    equalChunks,
    labelOf,
  });
  if (proved) return;
  const why = findings[0]?.message ?? 'it is refuted';
  throw invalidArgument(`Expected schedule ${name} to be proved ${placement} but ${why}`);
}

/** The engine has so many lanes between two ranks and so many channels on a rank. */
function expectRoom(name: string, programs: readonly Program[]): void {
  for (const { rank, channels } of programs) {
    const most = channels.reduce((lanes, { lane }) => Math.max(lanes, lane + 1), 0);
    if (most <= LANES_MAX && channels.length <= PROGRAM_CHANNELS_MAX) continue;
    throw invalidArgument(
      `Expected chan below ${LANES_MAX} and at most ${PROGRAM_CHANNELS_MAX} channels on a rank but schedule ${name} has chan ${most - 1} and ${channels.length} channels on rank ${rank}`,
    );
  }
}

/** How deep its connections must be, at least `PROVED_DEPTH`. What never ends is refuted elsewhere. */
function expectDepth({ name, programs }: MscclSchedule): number {
  const depth = Math.max(PROVED_DEPTH, smallestDepth(programs) ?? PROVED_DEPTH);
  if (depth <= DEPTH_MAX) return depth;
  throw invalidArgument(
    `Expected a schedule that ends with ${DEPTH_MAX} messages per connection but ${name} needs ${depth}`,
  );
}

/** A name as headers and people can take it. */
function asciiOf(name: string): string {
  return name.replaceAll(/[^\w.,()-]+/g, '_').slice(0, NAME_CHARACTERS_MAX);
}
