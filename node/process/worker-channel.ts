/**
 * The channel's MessagePort form: the process is a worker thread. `portChannel` is the worker's end,
 * `servePort` the kernel's. The kernel trusts nothing that comes over the port: a message that is not
 * a system call ends the process, as a kernel ends one that breaks its rules; the host lives on.
 *
 * A message wakes the other thread, which costs more than most calls: calls that are made in one turn of
 * the event loop travel in one message, and so do the replies of one turn.
 */
import { nextTick } from 'node:process';
import type { MessagePort } from 'node:worker_threads';
import { HlsimError, messageOf } from '../../common/errors.ts';
import type { Signal } from './signal.ts';
import type { SimProcess } from './sim-process.ts';
import {
  errnoFailure,
  type SignalMessage,
  type SystemCallChannel,
  SystemCallError,
  type SystemCallReply,
  type SystemCallRequest,
  type SystemCallValue,
} from './system-call.ts';
import { isSystemCallValue } from './system-call-argument.ts';
import { processEnded, type SystemCallTable } from './system-call-table.ts';

/** Calls of one process that may be pending at a time; one more fails with EAGAIN. */
export const PENDING_CALLS_MAX = 1024;
/** Longest name of a system call. */
const NAME_LENGTH_MAX = 64;

const PLAIN_VALUES =
  'expected arguments made of numbers, strings, booleans, byte arrays, arrays and plain objects, ' +
  'within the bounds of a system call, but found another (a BigInt or a function, say)';

interface PendingCall {
  readonly name: string;
  resolve(value: SystemCallValue): void;
  reject(reason: Error): void;
}

/**
 * The worker's end. A call with an argument that is no plain value rejects with EINVAL. Calls pending when the port closes reject with EINTR, later ones with EIO. The
 * port keeps the worker alive only while a call is pending.
 */
export function portChannel(port: MessagePort): SystemCallChannel {
  const pending = new Map<number, PendingCall>();
  let lastId = 0;
  let state: 'open' | 'closed' = 'open';

  const listeners = new Set<(signal: Signal) => void>();
  const heard = (message: SystemCallReply | readonly SystemCallReply[] | SignalMessage) => {
    if (isBatch(message)) message.forEach(settle);
    else if ('id' in message) settle(message);
    else for (const listener of listeners) listener(message.signal);
  };
  const outbox = new Outbox<SystemCallRequest>((requests) => port.postMessage(requests));
  const settle = (reply: SystemCallReply) => {
    const call = pending.get(reply.id);
    if (call === undefined) return;
    pending.delete(reply.id);
    if (pending.size === 0) port.unref();
    if ('failure' in reply) call.reject(new SystemCallError(reply.failure));
    else call.resolve(reply.value);
  };
  const closed = () => {
    state = 'closed';
    for (const call of pending.values()) call.reject(processEnded(call.name));
    pending.clear();
  };
  const post = (name: string, argument: SystemCallValue, call: PendingCall) => {
    const id = ++lastId;
    outbox.add({ id, name, argument });
    pending.set(id, call);
    port.ref();
  };
  port.on('message', heard);
  port.on('close', closed);
  port.unref();
  return {
    onSignal: (listener) => {
      listeners.add(listener);
    },
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        if (state === 'closed') {
          reject(errnoFailure('EIO', `${name}: the channel to the kernel is closed`));
        } else if (pending.size >= PENDING_CALLS_MAX) {
          reject(errnoFailure('EAGAIN', `${name}: ${PENDING_CALLS_MAX} calls are pending`));
        } else if (!isSystemCallValue(argument)) {
          // The kernel would end the process for it.
          reject(errnoFailure('EINVAL', `${name}: ${PLAIN_VALUES}`));
        } else {
          post(name, argument, { name, resolve, reject });
        }
      }),
  };
}

/**
 * The kernel's end: serves `process`'s calls from `table` until the port closes or the process ends;
 * either brings about the other. `onProtocolError` hears, once, why a process was ended for what it
 * sent (`HLSIM_PROTOCOL_ERROR`). `onClosed` replaces the process's end at the close of its port, for
 * a kernel that has something to do before. Returns a function that closes the port and ends the process.
 */
export function servePort(
  port: MessagePort,
  table: SystemCallTable,
  process: SimProcess,
  onProtocolError?: (error: HlsimError) => void,
  onClosed: () => void = () => process.exit(),
): () => void {
  let pendingCount = 0;
  const outbox = new Outbox<SystemCallReply>((replies) => {
    if (process.state === 'running') sendReplies(port, replies);
  });
  const refuse = (found: string) => {
    if (process.state === 'exited') return;
    port.close();
    process.exit({ signal: 'SIGKILL' });
    onProtocolError?.(
      new HlsimError(
        'HLSIM_PROTOCOL_ERROR',
        `Expected system calls from process ${process.pid} but found ${found}: the process was ended`,
        { fields: { pid: process.pid } },
      ),
    );
  };
  const serve = async (request: SystemCallRequest) => {
    pendingCount++;
    const reply = await table.serve(process, request);
    pendingCount--;
    outbox.add(reply);
  };
  const take = (request: unknown) => {
    if (process.state === 'exited') return;
    if (!isRequest(request)) refuse('a message that is none');
    else if (pendingCount >= PENDING_CALLS_MAX) refuse(`more than ${PENDING_CALLS_MAX} at a time`);
    else void serve(request);
  };
  port.on('message', (message: unknown) => {
    if (!Array.isArray(message)) take(message);
    else if (message.length > PENDING_CALLS_MAX) refuse(`more than ${PENDING_CALLS_MAX} at a time`);
    else for (const request of message) take(request);
  });
  port.on('messageerror', (error) => refuse(`an unreadable message (${messageOf(error)})`));
  port.on('close', onClosed);
  process.onExit(() => port.close());
  process.onSignal((signal) => port.postMessage({ signal } satisfies SignalMessage));
  return () => {
    port.close();
    process.exit();
  };
}

/** What is sent when the present turn of the event loop, with all its promise reactions, is over. */
class Outbox<T> {
  readonly #post: (messages: T | readonly T[]) => void;
  #messages: T[] = [];

  constructor(post: (messages: T | readonly T[]) => void) {
    this.#post = post;
  }

  add(message: T): void {
    this.#messages.push(message);
    // From inside a promise reaction this runs when no other one is left.
    if (this.#messages.length === 1) nextTick(() => this.#flush());
  }

  #flush(): void {
    const messages = this.#messages;
    this.#messages = [];
    const [only] = messages;
    this.#post(messages.length === 1 && only !== undefined ? only : messages);
  }
}

function isBatch<T extends object>(message: T | readonly T[]): message is readonly T[] {
  return Array.isArray(message);
}

/** If one of them cannot be sent, each goes alone. */
function sendReplies(
  port: MessagePort,
  replies: SystemCallReply | readonly SystemCallReply[],
): void {
  if (!isBatch(replies)) {
    send(port, replies);
    return;
  }
  try {
    port.postMessage(replies);
  } catch {
    for (const reply of replies) send(port, reply);
  }
}

/** A handler's value that cannot be sent is the handler's bug: the caller gets it as a failure. */
function send(port: MessagePort, reply: SystemCallReply): void {
  try {
    port.postMessage(reply);
  } catch (reason) {
    const message = `Expected a serialisable result but found: ${messageOf(reason)}`;
    const failure = { family: 'hlsim', code: 'HLSIM_INTERNAL', message } as const;
    port.postMessage({ id: reply.id, failure } satisfies SystemCallReply);
  }
}

function isRequest(message: unknown): message is SystemCallRequest {
  if (typeof message !== 'object' || message === null) return false;
  const { id, name, argument } = message as Record<string, unknown>;
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) return false;
  if (typeof name !== 'string' || name.length > NAME_LENGTH_MAX) return false;
  return isSystemCallValue(argument);
}
