/** The kernel's side of the channel: which call is served by whom. */
import { assert } from '../../common/assert.ts';
import { HlsimError, messageOf } from '../../common/errors.ts';
import type { SimProcess } from './sim-process.ts';
import {
  errnoFailure,
  type SystemCallChannel,
  SystemCallError,
  type SystemCallFailure,
  type SystemCallReply,
  type SystemCallRequest,
  type SystemCallValue,
} from './system-call.ts';

/** Serves one call of `caller`. Throws `SystemCallError` (or `HlsimError`) on failure. */
export type SystemCallHandler = (
  caller: SimProcess,
  argument: SystemCallValue,
) => SystemCallValue | Promise<SystemCallValue>;

export class SystemCallTable {
  readonly #handlers = new Map<string, SystemCallHandler>();

  register(name: string, handler: SystemCallHandler): void {
    assert(!this.#handlers.has(name), `Expected system call ${name} to be registered once`);
    this.#handlers.set(name, handler);
  }

  /** Runs a call. Rejects with `SystemCallError`: ENOSYS for an unknown name. */
  async invoke(
    caller: SimProcess,
    name: string,
    argument: SystemCallValue,
  ): Promise<SystemCallValue> {
    const handler = this.#handlers.get(name);
    if (handler === undefined) throw errnoFailure('ENOSYS', `no system call is named ${name}`);
    return await handler(caller, argument);
  }

  /** Runs a request and turns its outcome into the reply message. Never rejects. */
  async serve(caller: SimProcess, request: SystemCallRequest): Promise<SystemCallReply> {
    try {
      return { id: request.id, value: await this.invoke(caller, request.name, request.argument) };
    } catch (reason) {
      return { id: request.id, failure: failureOf(reason) };
    }
  }
}

/** The channel's inline form: calls run in the caller's own thread. */
export function inlineChannel(table: SystemCallTable, process: SimProcess): SystemCallChannel {
  return {
    onSignal: (listener) => process.onSignal(listener),
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        const forget = process.onExit(() => reject(processEnded(name)));
        void table.serve(process, { id: 0, name, argument }).then((reply) => {
          forget();
          if ('failure' in reply) reject(new SystemCallError(reply.failure));
          else resolve(reply.value);
        });
      }),
  };
}

/** Why a call that was pending when its process ended rejects. */
export function processEnded(name: string): SystemCallError {
  return errnoFailure('EINTR', `the process ended while ${name} was pending`);
}

function failureOf(reason: unknown): SystemCallFailure {
  if (reason instanceof SystemCallError) {
    return { family: reason.family, code: reason.code, message: reason.message };
  }
  if (reason instanceof HlsimError) {
    return { family: 'hlsim', code: reason.code, message: reason.message };
  }
  return { family: 'hlsim', code: 'HLSIM_INTERNAL', message: messageOf(reason) };
}
