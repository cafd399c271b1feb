/**
 * Proves what is to be predicted: a time means something only if the program does what its collective
 * promises. A proof holds for every element count, so that one serves all sizes. A schedule too large to be proved
 * in a moment stands on the proof of the largest smaller one of the same algorithm, on boxes of the same shape; whoever
 * shows the time says so.
 */
import { lowerAll } from '../../collectives/lower.ts';
import type { Program } from '../../collectives/program.ts';
import type { Rank, Schedule } from '../../collectives/schedule.ts';
import { type BuildRequest, buildSchedule } from '../../collectives/table.ts';
import { ranksIn, type Topology } from '../../collectives/topology.ts';
import { verify } from '../../collectives/verify.ts';
import { HlsimError } from '../../common/errors.ts';

/** Transfers of a schedule that is proved as a whole: ring all-reduce on 256 ranks, about a second. */
export const PROVED_TRANSFERS_MAX = 150_000;

/** What a proof covers. */
export interface Proof {
  /** `whole`: the very program. `smaller`: the same algorithm on `topology`, which is smaller. */
  readonly of: 'whole' | 'smaller';
  readonly topology: Topology;
}

/** Remembers what it proved. */
export class Prover {
  readonly #proved = new Map<string, Proof>();

  /** @throws HlsimError `HLSIM_SCHEDULE_REFUTED` if the schedule is wrong */
  prove(request: BuildRequest): Proof {
    const key = keyOf(request);
    const known = this.#proved.get(key);
    if (known !== undefined) return known;
    const found = this.#find(request);
    this.#proved.set(key, found);
    return found;
  }

  #find(request: BuildRequest): Proof {
    const { topology } = request;
    const schedule = buildSchedule(request);
    if (isProvable(schedule)) {
      expectProved(lowerAll(schedule), request);
      return { of: 'whole', topology };
    }
    for (const smaller of smallerTopologies(topology)) {
      const candidate = smallerRequest(request, smaller);
      if (candidate === undefined) continue;
      return { of: 'smaller', topology: this.prove(candidate).topology };
    }
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected a schedule that can be proved, but ${request.algorithm} ${request.collective} has more than ` +
        `${PROVED_TRANSFERS_MAX} messages on the smallest part of these boxes that it can be built for: ask for fewer channels or chunks`,
    );
  }
}

/** Proves programs that were read from a file. `equalChunks`: see `verify.ts`. */
export function proveFile(
  programs: readonly Program[],
  options: { readonly inPlace: boolean; readonly equalChunks: boolean; readonly name: string },
): void {
  const { inPlace, equalChunks, name } = options;
  const [finding] = verify(programs, { inPlace, equalChunks, order: 'messages' }).findings;
  if (finding !== undefined) throw refuted(name, finding.message);
}

function expectProved(programs: readonly Program[], request: BuildRequest): void {
  const inPlace = request.placement === 'inPlace';
  const [finding] = verify(programs, { inPlace }).findings;
  if (finding === undefined) return;
  const { algorithm, collective, topology } = request;
  throw refuted(`${algorithm} ${collective} on ${ranksIn(topology)} ranks`, finding.message);
}

function refuted(what: string, finding: string): HlsimError {
  return new HlsimError(
    'HLSIM_SCHEDULE_REFUTED',
    `Expected a schedule that is right, so that its time means something, but found in ${what}: ${finding}`,
  );
}

/** Whether it is small enough. Of what is far too large nobody walks all: one round may hold the square of the ranks. */
function isProvable(schedule: Schedule): boolean {
  const { nranks } = schedule;
  if (
    [0, nranks - 1].every((rank) => transfersOf(schedule, rank) * nranks > 4 * PROVED_TRANSFERS_MAX)
  ) {
    return false;
  }
  let all = 0;
  for (const round of schedule.rounds()) {
    all += round.length;
    if (all > PROVED_TRANSFERS_MAX) return false;
  }
  return true;
}

/** Those with the rank at one end, as far as they matter here. */
function transfersOf(schedule: Schedule, rank: Rank): number {
  let found = 0;
  for (const round of schedule.rounds(rank)) {
    for (const { src, dst } of round) if (src === rank || dst === rank) found++;
    if (found > PROVED_TRANSFERS_MAX) break;
  }
  return found;
}

/** Ever fewer boxes; where there is one, ever fewer cards in it. Halves, so that powers of two stay such. */
function* smallerTopologies({ boxes, ranksPerBox }: Topology): Generator<Topology> {
  for (let fewer = Math.floor(boxes / 2); fewer >= 2; fewer = Math.floor(fewer / 2)) {
    yield { boxes: fewer, ranksPerBox };
  }
  if (boxes > 1) return;
  for (let fewer = Math.floor(ranksPerBox / 2); fewer >= 2; fewer = Math.floor(fewer / 2)) {
    yield { boxes, ranksPerBox: fewer };
  }
}

/** The same on fewer ranks; undefined if the algorithm cannot do it for so many, or it is too large still. */
function smallerRequest(request: BuildRequest, topology: Topology): BuildRequest | undefined {
  const { root = 0 } = request;
  // The number of chunks was for all ranks; the algorithm's own number is for these.
  const { chunks: _, ...rest } = request;
  const smaller = { ...rest, topology, root: root < ranksIn(topology) ? root : 0 };
  try {
    return isProvable(buildSchedule(smaller)) ? smaller : undefined;
  } catch (cause) {
    if (cause instanceof HlsimError && cause.code === 'HLSIM_USAGE') return undefined;
    throw cause;
  }
}

function keyOf({
  collective,
  algorithm,
  topology,
  root,
  chunks,
  channels,
  placement,
}: BuildRequest): string {
  const { boxes, ranksPerBox } = topology;
  return [collective, algorithm, boxes, ranksPerBox, root, chunks, channels, placement].join(' ');
}
