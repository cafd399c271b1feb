/**
 * A stagehand on another host. Orders and answers go through the job's store, whose keys are set once:
 * order 1, answer 1, order 2, ...; the host's own program serves them one at a time.
 */
import * as hlsim from 'hlsim';
import { z } from 'zod';
import type { ActReply, ActRequest } from './actor-message.ts';
import type { CollectiveOrder, CollectiveResult } from './collective.ts';
import type { ActorIdentity, Stagehand } from './stagehand.ts';

const METHODS = ['spawn', 'act', 'pass', 'kill', 'collective', 'end'] as const;
const order = z.strictObject({ method: z.enum(METHODS), arguments: z.array(z.unknown()) });
const answer = z.union([
  z.strictObject({ value: z.unknown().optional() }),
  z.strictObject({ error: z.string() }),
]);

/** The director's end of the line to host `host`. */
export class RemoteStagehand implements Stagehand {
  readonly #host: number;
  #orders = 0;
  /** Orders are served one at a time; the next waits for the answer to the last. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: number) {
    this.#host = host;
  }

  spawn(name: string, containerId: string): Promise<ActorIdentity> {
    return this.#ask('spawn', name, containerId) as Promise<ActorIdentity>;
  }

  act(name: string, request: ActRequest): Promise<ActReply> {
    return this.#ask('act', name, request) as Promise<ActReply>;
  }

  pass(from: string, fd: number, to: string): Promise<number> {
    return this.#ask('pass', from, fd, to) as Promise<number>;
  }

  async kill(name: string): Promise<void> {
    await this.#ask('kill', name);
  }

  collective(one: CollectiveOrder): Promise<CollectiveResult> {
    return this.#ask('collective', one) as Promise<CollectiveResult>;
  }

  async end(): Promise<void> {
    await this.#ask('end');
  }

  #ask(method: (typeof METHODS)[number], ...rest: readonly unknown[]): Promise<unknown> {
    const asked = this.#last.then(() => this.#exchange(method, rest));
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  async #exchange(method: string, rest: readonly unknown[]): Promise<unknown> {
    const number = ++this.#orders;
    const text = JSON.stringify({ method, arguments: rest });
    await hlsim.storeSet(keyOf('order', this.#host, number), text);
    const found = await hlsim.storeGet(keyOf('answer', this.#host, number));
    const read = answer.parse(JSON.parse(found));
    if ('error' in read) throw new Error(`On host ${this.#host}: ${read.error}`);
    return read.value;
  }
}

/** The other end: serves the director's orders until it says `end`. */
export async function serveOrders(host: number, stagehand: Stagehand): Promise<void> {
  const methods = stagehand as unknown as Record<string, (...rest: unknown[]) => Promise<unknown>>;
  for (let number = 1; ; number++) {
    const text = await nextOrder(host, number);
    const { method, arguments: rest } = order.parse(JSON.parse(text));
    const reply = await Promise.resolve(methods[method]?.call(stagehand, ...rest)).then(
      (value) => ({ value }),
      (reason: Error) => ({ error: reason.message }),
    );
    await hlsim.storeSet(keyOf('answer', host, number), JSON.stringify(reply));
    if (method === 'end') return;
  }
}

/** A play may have long scenes elsewhere: the store's own deadline is no reason to leave. */
async function nextOrder(host: number, number: number): Promise<string> {
  for (let patience = 0; patience < 10; patience++) {
    try {
      return await hlsim.storeGet(keyOf('order', host, number));
    } catch (reason) {
      const isLate = reason instanceof hlsim.SystemCallError && reason.code === 'HLSIM_TIMEOUT';
      if (!isLate) throw reason;
    }
  }
  return hlsim.storeGet(keyOf('order', host, number));
}

function keyOf(kind: 'order' | 'answer', host: number, number: number): string {
  return `hlsim.scenario.${kind}.${host}.${number}`;
}
