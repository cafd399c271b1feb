/**
 * How checked calls get onto their streams. Calls of one process are launched in the order in which it
 * made them, also those that wait for room on a stream, as a thread that calls C functions would.
 *
 * What is launched together (a group) starts together on each stream: messages and the collectives of
 * different communicators run side by side, so that ranks may list them in different orders; those of
 * one communicator run one after the other.
 */
import { assert } from '../../common/assert.ts';
import type { CheckedCall } from './collective-call.ts';
import type { MessageCall, NumberedCall } from './message.ts';
import type { OpenCommunicator } from './open-communicator.ts';
import { type BufferAddresses, runCall } from './run-call.ts';
import { runMessages } from './run-messages.ts';
import type { Stream } from './stream.ts';

/** A checked call and its stream. */
export type Launch = { readonly open: OpenCommunicator; readonly stream: Stream } & (
  | {
      readonly kind: 'collective';
      readonly checked: CheckedCall;
      readonly addresses: BufferAddresses;
    }
  | { readonly kind: 'message'; readonly message: MessageCall }
);

/** A collective that waits for those before it, and tells those after it. */
type PlacedCollective = Extract<Launch, { readonly kind: 'collective' }> & {
  readonly before: Promise<void>;
  readonly end: () => void;
};
type PlacedMessage = Extract<Launch, { readonly kind: 'message' }> & {
  readonly message: NumberedCall;
};
type PlacedLaunch = PlacedCollective | PlacedMessage;

/** The launches of one process, in order. */
export class Launcher {
  #tail: Promise<void> = Promise.resolve();

  /** Queues calls that start together; resolves when they are queued. */
  launch(calls: readonly Launch[]): Promise<void> {
    const streams = distinct(calls.map(({ stream }) => stream));
    return this.inOrder(streams, () => {
      const all = calls.map(placed);
      for (const stream of streams) {
        const own = all.filter((call) => call.stream === stream);
        enqueue(stream, own);
      }
    });
  }

  /** Does `queue` once there is room on the streams, after what was launched before. */
  inOrder(streams: readonly Stream[], queue: () => void): Promise<void> {
    const launched = this.#tail.then(async () => {
      for (const stream of streams) await stream.room();
      queue();
    });
    // What `queue` throws is its caller's; the next launch goes on.
    this.#tail = launched.catch(() => undefined);
    return launched;
  }
}

/** Gives a call its place among those of its communicator: made in the order of the calls, on all streams. */
function placed(call: Launch): PlacedLaunch {
  const { open, stream } = call;
  if (call.kind === 'message') {
    return { ...call, message: open.messageNumbers.number(call.message) };
  }
  const { checked, addresses } = call;
  const before = open.tail;
  let end: () => void = () => undefined;
  open.tail = new Promise((resolve) => {
    end = resolve;
  });
  return { kind: 'collective', open, stream, checked, addresses, before, end };
}

/** Makes one piece of work of calls on one stream. */
function enqueue(stream: Stream, calls: readonly PlacedLaunch[]): void {
  const parts = distinct(calls.map(({ open }) => open)).flatMap((open) =>
    partsOf(
      open,
      calls.filter((call) => call.open === open),
    ),
  );
  const ended = stream.enqueue(() => allEnded(parts.map((start) => start())));
  for (const { open } of calls) open.track(ended);
}

/** What the calls of one communicator are, each to be started when the stream's turn has come. */
function partsOf(open: OpenCommunicator, calls: readonly PlacedLaunch[]): (() => Promise<void>)[] {
  const parts: (() => Promise<void>)[] = [];
  const messages = calls.flatMap((call) => (call.kind === 'message' ? [call.message] : []));
  if (messages.length > 0) parts.push(() => open.running(runMessages(open, messages)));
  const collectives = calls.filter((call) => call.kind === 'collective');
  if (collectives.length > 0) parts.push(() => runInTurn(open, collectives));
  return parts;
}

/** Runs collectives of one communicator, each after those that were called before on whatever stream. */
async function runInTurn(
  open: OpenCommunicator,
  calls: readonly PlacedCollective[],
): Promise<void> {
  try {
    for (const { checked, addresses, before, end } of calls) {
      await before;
      await open.running(runCall(open, checked, addresses));
      end();
    }
  } finally {
    // Those after one that failed are not made.
    for (const { end } of calls) end();
  }
}

/** Waits for all; throws the first failure in their order. */
async function allEnded(parts: readonly Promise<void>[]): Promise<void> {
  const [only] = parts;
  assert(only !== undefined, 'Expected something to run');
  if (parts.length === 1) return only;
  for (const outcome of await Promise.allSettled(parts)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** Each value once, in the order of their first places. Most calls are launched alone. */
function distinct<T>(values: readonly T[]): readonly T[] {
  return values.length < 2 ? values : [...new Set(values)];
}
