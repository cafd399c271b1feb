/**
 * What one rank does in one round. Every transfer of a round reads the state the round began with,
 * but the steps of a channel take effect in order, so the order is chosen: sends first, then
 * arrivals and local transfers such that nothing is overwritten before it is read. It is chosen for
 * in-place memory, where more places coincide, and holds out of place too.
 */
import { assert } from '../common/assert.ts';
import type { MemoryMap } from './memory.ts';
import type { Step, StepRef } from './program.ts';
import type { Place, Rank, Round, Transfer } from './schedule.ts';

/** A step and the channel it belongs to. Lists of these are in one order over all channels. */
export interface ChannelStep {
  readonly channel: number;
  readonly step: Step;
}

/** A transfer with this rank as its `dst`, and the steps that carry it out here. */
interface Arrival {
  readonly transfer: Transfer;
  readonly reads: readonly Place[];
  readonly steps: readonly ChannelStep[];
}

/** What a step depends on is found when all steps are there (`depends.ts`). */
const NONE: readonly StepRef[] = [];

/** `memory` is the rank's in-place memory. */
export function stepsOfRound(rank: Rank, round: Round, memory: MemoryMap): ChannelStep[] {
  const sends = round
    .filter(({ src, dst }) => src === rank && dst !== rank)
    .map((transfer) => inChannel(transfer, sendOf(transfer)));
  const arrivals = round
    .filter(({ dst }) => dst === rank)
    .map((transfer) => (transfer.src === rank ? locally(transfer, memory) : received(transfer)));
  return [...sends, ...inSafeOrder(arrivals, memory).flatMap(({ steps }) => steps)];
}

/** The receiver stores a copy unchanged, but needs the message of a reduction as an operand. */
function sendOf({ dst, from, to, count, effect }: Transfer): Step {
  return {
    kind: 'send',
    count,
    sendTo: dst,
    landing: effect === 'copy' ? { kind: 'place', place: to } : { kind: 'slot' },
    src: from,
    depends: NONE,
  };
}

function received(transfer: Transfer): Arrival {
  const { src: recvFrom, to, operand = to, count, effect } = transfer;
  const step: Step =
    effect === 'copy'
      ? { kind: 'recv', count, recvFrom, dst: to, depends: NONE }
      : { kind: 'recvReduceCopy', count, recvFrom, src: operand, dst: to, depends: NONE };
  const reads = effect === 'copy' ? [] : [operand];
  return { transfer, reads, steps: [inChannel(transfer, step)] };
}

function locally(transfer: Transfer, memory: MemoryMap): Arrival {
  const { from, to, operand = to, effect } = transfer;
  if (effect === 'copy') return { transfer, reads: [from], steps: [local(transfer, 'copy', from)] };
  return { transfer, reads: [from, operand], steps: localReduction(transfer, operand, memory) };
}

/** `reduce` has two operands and stores into one of them, so the other is copied there first. */
function localReduction(transfer: Transfer, operand: Place, memory: MemoryMap): ChannelStep[] {
  const { from, to } = transfer;
  if (samePlace(operand, to)) return [local(transfer, 'reduce', from)];
  if (samePlace(from, to)) return [local(transfer, 'reduce', operand)];
  const fromIsTarget = memory.locate(from) === memory.locate(to);
  const [copied, added] = fromIsTarget ? [from, operand] : [operand, from];
  return [local(transfer, 'copy', copied), local(transfer, 'reduce', added)];
}

function local(transfer: Transfer, kind: 'copy' | 'reduce', src: Place): ChannelStep {
  return inChannel(transfer, { kind, count: transfer.count, src, dst: transfer.to, depends: NONE });
}

function inChannel({ channel = 0 }: Transfer, step: Step): ChannelStep {
  return { channel, step };
}

export function samePlace(a: Place, b: Place): boolean {
  return a.buffer === b.buffer && a.chunk === b.chunk;
}

/**
 * Readers of a place before its writer, messages of a connection as they were sent, else as given: the
 * first one that may come next, again and again.
 */
function inSafeOrder(arrivals: readonly Arrival[], memory: MemoryMap): readonly Arrival[] {
  const readers = readersFirst(arrivals, memory);
  if (readers.every(([reader, writer]) => reader < writer)) return arrivals;
  const before = [...readers, ...connectionsInOrder(arrivals)];
  const followers: number[][] = arrivals.map(() => []);
  const pending = arrivals.map(() => 0);
  for (const [first, second] of before) {
    followers[first]?.push(second);
    pending[second] = (pending[second] as number) + 1;
  }
  const ordered: Arrival[] = [];
  while (ordered.length < arrivals.length) {
    const index = pending.indexOf(0);
    assert(index >= 0, 'Expected a round whose transfers to one rank do not swap places there');
    ordered.push(arrivals[index] as Arrival);
    pending[index] = ORDERED;
    for (const second of followers[index] ?? []) pending[second] = (pending[second] as number) - 1;
  }
  return ordered;
}

const ORDERED = -1;

/** Indexes of two arrivals, the first of which must come first. */
type Pair = readonly [first: number, second: number];

/** Every arrival that reads a place, with every other that writes it. */
function readersFirst(arrivals: readonly Arrival[], memory: MemoryMap): Pair[] {
  if (arrivals.length < 2 || arrivals.every(({ reads }) => reads.length === 0)) return [];
  const writers = new Map<number, number[]>();
  for (const [index, { transfer }] of arrivals.entries()) {
    for (const location of locationsOf(transfer.to, transfer.count, memory)) {
      const known = writers.get(location);
      if (known === undefined) writers.set(location, [index]);
      else known.push(index);
    }
  }
  return arrivals.flatMap(({ reads, transfer }, reader) =>
    reads.flatMap((place) =>
      locationsOf(place, transfer.count, memory).flatMap((location) =>
        (writers.get(location) ?? [])
          .filter((writer) => writer !== reader)
          .map((writer): Pair => [reader, writer]),
      ),
    ),
  );
}

function locationsOf(place: Place, count: number, memory: MemoryMap): number[] {
  const start = memory.locate(place);
  return Array.from({ length: count }, (_, offset) => start + offset);
}

/** Every message with the next one of its connection. */
function connectionsInOrder(arrivals: readonly Arrival[]): Pair[] {
  const pairs: Pair[] = [];
  const latest = new Map<string, number>();
  for (const [index, { transfer }] of arrivals.entries()) {
    const { src, dst, channel = 0 } = transfer;
    if (src === dst) continue;
    const connection = `${channel} ${src}`;
    const previous = latest.get(connection);
    if (previous !== undefined) pairs.push([previous, index]);
    latest.set(connection, index);
  }
  return pairs;
}
