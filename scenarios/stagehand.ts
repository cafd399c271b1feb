/**
 * Who has the actors of one host: spawns them, passes on what they are told to do, and ends them. The
 * director has one of its own; on other hosts one waits for orders that come through the job's store.
 */
import * as hlsim from 'hlsim';
import { ACT_TIMEOUT_MS, type ActReply, type ActRequest, readActReply } from './actor-message.ts';
import { type CollectiveOrder, type CollectiveResult, runCollectives } from './collective.ts';

/** An actor as everybody sees it. */
export interface ActorIdentity {
  readonly name: string;
  readonly pid: number;
  readonly containerId: string;
  readonly host: number;
}

/** The actors of one host, here or elsewhere. */
export interface Stagehand {
  spawn(name: string, containerId: string): Promise<ActorIdentity>;
  act(name: string, request: ActRequest): Promise<ActReply>;
  /** Passes descriptor `fd` of one actor to another: its number there. */
  pass(from: string, fd: number, to: string): Promise<number>;
  kill(name: string): Promise<void>;
  /** Takes part in a collective over all hosts, each with its device 0. */
  collective(order: CollectiveOrder): Promise<CollectiveResult>;
  /** Every actor is gone when it resolves. */
  end(): Promise<void>;
}

/** An actor's process has ended while it was to answer. */
export class ActorGoneError extends Error {
  override readonly name = 'ActorGoneError';
  readonly code = 'gone';

  constructor(name: string) {
    super(`${name} was killed`);
  }
}

interface RunningActor {
  readonly identity: ActorIdentity;
  /** This end of the line to the actor. */
  readonly line: number;
}

export class LocalStagehand implements Stagehand {
  readonly #host: number;
  readonly #actors = new Map<string, RunningActor>();

  constructor(host: number) {
    this.#host = host;
  }

  async spawn(name: string, containerId: string): Promise<ActorIdentity> {
    const [line, theirs] = await hlsim.socketPair();
    const pid = await hlsim.spawnProcess({ program: 'builtin:actor', containerId, fds: [theirs] });
    await hlsim.closeDescriptor(theirs);
    const identity = { name, pid, containerId, host: this.#host };
    this.#actors.set(name, { identity, line });
    await this.act(name, { act: 'ready', arguments: [] });
    return identity;
  }

  async act(name: string, request: ActRequest): Promise<ActReply> {
    const { line } = this.#actor(name);
    await hlsim.sendMessage(line, JSON.stringify(request));
    return readActReply(hlsim.textOf(await heard(line, name)));
  }

  async pass(from: string, fd: number, to: string): Promise<number> {
    const giver = this.#actor(from).line;
    await hlsim.sendMessage(giver, JSON.stringify({ act: 'give', arguments: [fd] }));
    const [carried] = (await heard(giver, from)).fds;
    if (carried === undefined) throw new Error(`Expected descriptor ${fd} of ${from} but got none`);
    const taker = this.#actor(to).line;
    await hlsim.sendMessage(taker, JSON.stringify({ act: 'take', arguments: [] }), [carried]);
    await hlsim.closeDescriptor(carried);
    const reply = readActReply(hlsim.textOf(await heard(taker, to)));
    if ('failure' in reply) throw new Error(reply.failure.message);
    return Number(reply.value);
  }

  async kill(name: string): Promise<void> {
    const { identity, line } = this.#actor(name);
    this.#actors.delete(name);
    await hlsim.killProcess(identity.pid, 'SIGKILL');
    await hlsim.waitProcess(identity.pid, ACT_TIMEOUT_MS);
    await hlsim.closeDescriptor(line);
  }

  collective(order: CollectiveOrder): Promise<CollectiveResult> {
    return runCollectives(order);
  }

  async end(): Promise<void> {
    for (const name of [...this.#actors.keys()]) await this.kill(name);
  }

  #actor(name: string): RunningActor {
    const actor = this.#actors.get(name);
    if (actor === undefined) throw new Error(`Expected an actor but found nobody named ${name}`);
    return actor;
  }
}

/** The next message of an actor. Throws if the actor has ended. */
async function heard(line: number, name: string): Promise<hlsim.ReceivedMessage> {
  const message = await hlsim.receiveMessage(line, ACT_TIMEOUT_MS);
  if (message === null) throw new ActorGoneError(name);
  return message;
}
