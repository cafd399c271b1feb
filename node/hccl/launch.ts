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
import type { MessageCall } from './message.ts';
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

type CollectiveLaunch = Extract<Launch, { readonly kind: 'collective' }>;

/** The launches of one process, in order. */
export class Launcher {
  #tail: Promise<void> = Promise.resolve();

  /** Queues calls that start together; resolves when they are queued. */
  launch(calls: readonly Launch[]): Promise<void> {
    const streams = [...new Set(calls.map(({ stream }) => stream))];
    return this.inOrder(streams, () => {
      for (const stream of streams) {
        const own = calls.filter((call) => call.stream === stream);
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

/** Makes one piece of work of calls on one stream. */
function enqueue(stream: Stream, calls: readonly Launch[]): void {
  const parts = [...new Set(calls.map(({ open }) => open))].flatMap((open) =>
    partsOf(
      open,
      calls.filter((call) => call.open === open),
    ),
  );
  const ended = stream.enqueue(() => allEnded(parts.map((start) => start())));
  for (const { open } of calls) open.track(ended);
}

/** What the calls of one communicator are, each to be started when the stream's turn has come. */
function partsOf(open: OpenCommunicator, calls: readonly Launch[]): (() => Promise<void>)[] {
  const parts: (() => Promise<void>)[] = [];
  const messages = calls.flatMap((call) => (call.kind === 'message' ? [call.message] : []));
  if (messages.length > 0) {
    const numbered = open.messageNumbers.number(messages);
    parts.push(() => runMessages(open, numbered));
  }
  const collectives = calls.filter((call) => call.kind === 'collective');
  if (collectives.length > 0) parts.push(chain(open, collectives));
  return parts;
}

/** The collectives of one communicator, after those that were launched before on whatever stream. */
function chain(open: OpenCommunicator, calls: readonly CollectiveLaunch[]): () => Promise<void> {
  const before = open.tail;
  let ended: () => void = () => undefined;
  open.tail = new Promise((resolve) => {
    ended = resolve;
  });
  return async () => {
    try {
      await before;
      for (const { checked, addresses } of calls) await runCall(open, checked, addresses);
    } finally {
      ended();
    }
  };
}

/** Waits for all; throws the first failure in their order. */
async function allEnded(parts: readonly Promise<void>[]): Promise<void> {
  assert(parts.length > 0, 'Expected something to run');
  for (const outcome of await Promise.allSettled(parts)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}
