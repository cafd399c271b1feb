/**
 * What one rank does in one round. Every transfer of a round reads the state the round began with,
 * but the steps of a channel take effect in order, so the order is chosen: sends first, then
 * arrivals and local transfers such that nothing is overwritten before it is read. It is chosen for
 * in-place memory, where more places coincide, and holds out of place too.
 */
import { assert } from '../common/assert.ts';
import { type MemoryMap, overlaps } from './memory.ts';
import type { Step } from './program.ts';
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
    depends: [],
  };
}

function received(transfer: Transfer): Arrival {
  const { src: recvFrom, to, operand = to, count, effect } = transfer;
  const step: Step =
    effect === 'copy'
      ? { kind: 'recv', count, recvFrom, dst: to, depends: [] }
      : { kind: 'recvReduceCopy', count, recvFrom, src: operand, dst: to, depends: [] };
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
  return inChannel(transfer, { kind, count: transfer.count, src, dst: transfer.to, depends: [] });
}

function inChannel({ channel = 0 }: Transfer, step: Step): ChannelStep {
  return { channel, step };
}

export function samePlace(a: Place, b: Place): boolean {
  return a.buffer === b.buffer && a.chunk === b.chunk;
}

/** Readers of a place before its writer, messages of a connection as they were sent, else as given. */
function inSafeOrder(arrivals: readonly Arrival[], memory: MemoryMap): Arrival[] {
  const waiting = [...arrivals];
  const ordered: Arrival[] = [];
  while (waiting.length > 0) {
    const index = waiting.findIndex((candidate, position) => {
      const mayComeNext = (other: Arrival, otherPosition: number): boolean =>
        other === candidate ||
        (!readsWhatIsWritten(other, candidate, memory) &&
          !(otherPosition < position && sameConnection(other, candidate)));
      return waiting.every(mayComeNext);
    });
    assert(index >= 0, 'Expected a round whose transfers to one rank do not swap places there');
    ordered.push(...waiting.splice(index, 1));
  }
  return ordered;
}

function readsWhatIsWritten(reader: Arrival, writer: Arrival, memory: MemoryMap): boolean {
  const { to, count } = writer.transfer;
  return reader.reads.some((place) => overlaps(memory, place, reader.transfer.count, to, count));
}

function sameConnection({ transfer: a }: Arrival, { transfer: b }: Arrival): boolean {
  const isMessage = a.src !== a.dst;
  return isMessage && a.src === b.src && (a.channel ?? 0) === (b.channel ?? 0);
}
