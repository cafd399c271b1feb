/** The connections and peers of a plan: who sends what, in which order, and where it lands. */
import { receives, reduces } from '../../collectives/program.ts';
import type { BufferName, Rank } from '../../collectives/schedule.ts';
import { defined } from '../../common/assert.ts';
import { Layout, slotCount, stagedCount } from './lane-layout.ts';
import { KEPT_LANES } from './lanes.ts';
import type { ByteRange, Plan, PlanConnection, PlanPeer } from './plan.ts';
import type { Mutable, OpenSlice, OpenStep } from './plan-builder.ts';

type OpenConnection = Mutable<Omit<PlanConnection, 'messages' | 'stagedMessages'>> & {
  messages: OpenSlice[];
  stagedMessages: OpenSlice[];
};

type Connections = Pick<Plan, 'inbound' | 'outbound' | 'peers' | 'peerOf' | 'scratchBytes'>;

export class ConnectionBuilder {
  readonly #inbound = new ConnectionList();
  readonly #outbound = new ConnectionList();

  /** Index of the connection over which messages of `peer` come in on `lane`. */
  inbound(peer: Rank, lane: number): number {
    return this.#inbound.index(peer, lane);
  }

  /** Index of the connection over which messages go out to `peer` on `lane`. */
  outbound(peer: Rank, lane: number): number {
    return this.#outbound.index(peer, lane);
  }

  /** `scratch`: bytes of the program's own scratch chunks; `depth` as in `PlanRequest`. */
  finish(
    steps: readonly OpenStep[],
    { windows, scratch, depth }: { windows: number; scratch: number; depth: number },
  ): Connections {
    this.#inbound.fill(steps, windows, 'inbound');
    this.#outbound.fill(steps, windows, 'outbound');
    const ranks = new Set([...this.#inbound.list, ...this.#outbound.list].map(({ peer }) => peer));
    const layout = new Layout(scratch);
    const peers = [...ranks].sort((a, b) => a - b).map((rank) => this.#peer(rank, steps, layout));
    peers.forEach(({ inbound, outbound }, index) => {
      for (const one of inbound) this.#inbound.at(one).peerIndex = index;
      for (const one of outbound) this.#outbound.at(one).peerIndex = index;
    });
    for (const connection of this.#outbound.list) addStaging(connection, layout, depth);
    return {
      inbound: this.#inbound.list,
      outbound: this.#outbound.list,
      peers,
      peerOf: new Map(peers.map(({ rank }, index) => [rank, index])),
      scratchBytes: layout.bytes,
    };
  }

  #peer(rank: Rank, steps: readonly OpenStep[], layout: Layout): PlanPeer {
    const inbound = this.#inbound.of(rank);
    const outbound = this.#outbound.of(rank);
    const arrivals = steps.filter(({ inbound: one }) => one !== undefined && inbound.includes(one));
    const sends = steps.filter(({ outbound: one }) => one !== undefined && outbound.includes(one));
    moveToOffer(sends);
    addSlots(
      outbound.map((one) => this.#outbound.at(one)),
      ({ landing }) => landing === 'slot',
    );
    const bytes = addSlots(
      inbound.map((one) => this.#inbound.at(one)),
      takesOperand,
    );
    const slots: ByteRange | undefined =
      bytes === 0 ? undefined : { buffer: 'scratch', offset: layout.take(bytes), length: bytes };
    const places = arrivals.filter((step) => !takesOperand(step));
    const offer = (buffer: BufferName) =>
      hullOf(
        places.flatMap(({ dst }) => dst ?? []),
        buffer,
      );
    const offers = { input: offer('input'), output: offer('output'), scratch: offer('scratch') };
    return { rank, inbound, outbound, offers, slots };
  }
}

class ConnectionList {
  readonly list: OpenConnection[] = [];
  readonly #indices = new Map<string, number>();

  index(peer: Rank, lane: number): number {
    const key = `${peer} ${lane}`;
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.list.length;
      this.#indices.set(key, index);
      this.list.push({ peer, peerIndex: -1, lane, messages: [], stagedMessages: [] });
    }
    return index;
  }

  at(index: number): OpenConnection {
    return defined(this.list[index], 'the connection');
  }

  /** Indices of a peer's connections, by lane. */
  of(peer: Rank): number[] {
    return [...this.list.keys()]
      .filter((index) => this.at(index).peer === peer)
      .sort((a, b) => this.at(a).lane - this.at(b).lane);
  }

  /** Messages go by window, in it by step, in it by slice. */
  fill(steps: readonly OpenStep[], windows: number, end: 'inbound' | 'outbound'): void {
    const taken = steps.map(() => 0);
    for (let window = 0; window < windows; window++) {
      for (const [number, step] of steps.entries()) {
        const index = step[end];
        if (index === undefined) continue;
        const { messages } = this.at(index);
        let next = taken[number] ?? 0;
        for (let slice = step.slices[next]; slice?.window === window; slice = step.slices[next]) {
          messages.push(slice);
          next++;
        }
        taken[number] = next;
      }
    }
  }
}

/** What is sent to places lands in what the peer offers: it begins with the first of them. */
function moveToOffer(sends: readonly OpenStep[]): void {
  const places = sends.flatMap(({ landing, bytes }) =>
    landing === undefined || landing === 'slot' || bytes === 0 ? [] : landing,
  );
  for (const step of sends) {
    const { landing } = step;
    if (landing === undefined || landing === 'slot') continue;
    const start = hullOf(places, landing.buffer)?.offset ?? landing.offset;
    step.landing = { ...landing, offset: landing.offset - start };
  }
}

/** The bytes from the first to the last of `ranges` in a buffer. */
function hullOf(ranges: readonly ByteRange[], buffer: BufferName): ByteRange | undefined {
  let [start, end] = [Number.POSITIVE_INFINITY, 0];
  for (const one of ranges) {
    if (one.buffer !== buffer || one.length === 0) continue;
    start = Math.min(start, one.offset);
    end = Math.max(end, one.offset + one.length);
  }
  return end === 0 ? undefined : { buffer, offset: start, length: end - start };
}

/** Slots of one peer's lanes that live for the operation, one after the other; returns their bytes. */
function addSlots(
  connections: readonly OpenConnection[],
  isToSlot: (step: OpenStep) => boolean,
): number {
  const layout = new Layout(0);
  for (const connection of connections) {
    if (connection.lane < KEPT_LANES) continue;
    const messages = connection.messages.filter(({ step }) => isToSlot(step));
    const slots = layout.add(messages, slotCount(messages));
    if (slots !== undefined) connection.slots = slots;
  }
  return layout.bytes;
}

function takesOperand({ kind }: OpenStep): boolean {
  return receives(kind) && reduces(kind);
}

function addStaging(connection: OpenConnection, layout: Layout, depth: number): void {
  const { stagedMessages } = connection;
  for (const message of connection.messages) {
    const { kind, isAwaited } = message.step;
    if (!isAwaited && kind !== 'recvReduceSend') continue;
    message.staged = stagedMessages.push(message) - 1;
  }
  const staging = layout.add(stagedMessages, stagedCount(stagedMessages, depth));
  if (staging !== undefined) connection.staging = staging;
}
