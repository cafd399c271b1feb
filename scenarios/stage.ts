/**
 * What a scenario is written with: actors that do things, in order, and a transcript of what the
 * kernel answered. A step that a scenario cannot do without ends it if it fails: `needs`.
 */
import * as hlsim from 'hlsim';
import type { OwnershipPolicy } from '../node/device/ownership.ts';
import type { Acts } from './acts.ts';
import { shownAnswer } from './answer.ts';
import type { CollectiveOrder, CollectiveResult } from './collective.ts';
import type { ScenarioReport } from './report.ts';
import type { ActorIdentity, Stagehand } from './stagehand.ts';

/** What came of an act: its value, or the error that the caller saw. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: string; readonly message: string };

type ActValue<Name extends keyof Acts> = Awaited<ReturnType<Acts[Name]>>;

export interface StageInit {
  readonly ownership: OwnershipPolicy;
  /** By host. */
  readonly stagehands: readonly Stagehand[];
  report(report: ScenarioReport): Promise<void>;
}

export class Stage {
  readonly ownership: OwnershipPolicy;
  readonly #init: StageInit;
  #steps = 0;

  constructor(init: StageInit) {
    this.ownership = init.ownership;
    this.#init = init;
  }

  /** Number of the last step. */
  get lastStep(): number {
    return this.#steps;
  }

  /** A new process on a host, in a container: a tenant. */
  async actor(name: string, place: { readonly host?: number; readonly container?: string } = {}) {
    const { host = 0, container = `tenant-${name.toLowerCase()}` } = place;
    const stagehand = this.#init.stagehands[host];
    if (stagehand === undefined) throw new Error(`Expected a host but found index ${host}`);
    return new Actor(this, stagehand, await stagehand.spawn(name, container));
  }

  remark(text: string): Promise<void> {
    return this.#init.report({ kind: 'remark', text });
  }

  /** A step of the operator, who is no tenant: the scenario's own process. */
  async operator<T>(action: string, work: () => Promise<T>): Promise<Outcome<T>> {
    const outcome = await outcomeOf(work);
    await this.step(null, action, outcome);
    return outcome;
  }

  /** Every host takes part in a collective, with its device 0: what each has to say. */
  async collective(action: string, order: CollectiveOrder): Promise<readonly CollectiveResult[]> {
    const outcome = await this.operator(action, () =>
      Promise.all(this.#init.stagehands.map((stagehand) => stagehand.collective(order))),
    );
    if (outcome.ok) return outcome.value;
    throw new Error(`Expected the collective to succeed but found: ${outcome.message}`);
  }

  /** Writes to the device's hard_reset, as an administrator. */
  async resetDevice(device: number): Promise<void> {
    const fd = await hlsim.hlthunk_open_control(device);
    try {
      await hlsim.hlthunk_device_reset(fd);
    } finally {
      await hlsim.hlthunk_close(fd);
    }
  }

  /** How it ended. `expected` is what this policy promises. */
  verdict(held: boolean, sentence: string, expected: 'held' | 'broken' = 'held'): Promise<void> {
    const failed = !held && expected === 'held';
    const words = failed ? `What should have been: ${sentence}` : sentence;
    return this.#init.report({ kind: 'verdict', held, expected, sentence: words });
  }

  /** Tells a step that has been done. */
  async step(
    actor: ActorIdentity | null,
    action: string,
    outcome: Outcome<unknown>,
    shown?: string,
  ): Promise<void> {
    this.#steps++;
    await this.#init.report({
      kind: 'step',
      index: this.#steps,
      actor,
      action,
      answer: outcome.ok ? (shown ?? 'done') : outcome.message,
      outcome: outcome.ok ? 'done' : 'refused',
    });
  }
}

export class Actor {
  readonly identity: ActorIdentity;
  readonly #stage: Stage;
  readonly #stagehand: Stagehand;

  constructor(stage: Stage, stagehand: Stagehand, identity: ActorIdentity) {
    this.#stage = stage;
    this.#stagehand = stagehand;
    this.identity = identity;
  }

  /** Does an act and tells it; an error is an outcome like any other. */
  async does<Name extends keyof Acts>(
    action: string,
    act: Name,
    ...rest: Parameters<Acts[Name]>
  ): Promise<Outcome<ActValue<Name>>> {
    const outcome = await this.quietly(act, ...rest);
    const shown = outcome.ok ? shownAnswer(act, outcome.value) : undefined;
    await this.#stage.step(this.identity, action, outcome, shown);
    return outcome;
  }

  /** As `does`; the scenario cannot go on without the value. */
  async needs<Name extends keyof Acts>(
    action: string,
    act: Name,
    ...rest: Parameters<Acts[Name]>
  ): Promise<ActValue<Name>> {
    const outcome = await this.does(action, act, ...rest);
    if (outcome.ok) return outcome.value;
    throw new Error(
      `Expected ${this.identity.name} to succeed when it ${action} but found: ${outcome.message}`,
    );
  }

  /** An act that is not worth a line. */
  async quietly<Name extends keyof Acts>(
    act: Name,
    ...rest: Parameters<Acts[Name]>
  ): Promise<Outcome<ActValue<Name>>> {
    const reply = await this.#stagehand.act(this.identity.name, { act, arguments: rest });
    if ('failure' in reply) return { ok: false, ...reply.failure };
    return { ok: true, value: reply.value as ActValue<Name> };
  }

  /** A line of the transcript about something that was done already. */
  tells(action: string, shown = 'done'): Promise<void> {
    return this.#stage.step(this.identity, action, { ok: true, value: undefined }, shown);
  }

  /** Passes a descriptor to another actor of the same host (SCM_RIGHTS): its number there. */
  async passes(fd: number, to: Actor): Promise<number> {
    const value = await this.#stagehand.pass(this.identity.name, fd, to.identity.name);
    const action = `passes fd ${fd} to ${to.identity.name} over a unix socket`;
    await this.#stage.step(this.identity, action, { ok: true, value }, `fd ${value} there`);
    return value;
  }

  /** The process ends as by kill -9: the kernel closes what it had open. */
  async isKilled(): Promise<void> {
    await this.#stagehand.kill(this.identity.name);
    const action = 'is killed with SIGKILL';
    await this.#stage.step(this.identity, action, { ok: true, value: undefined }, 'gone');
  }
}

async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (reason) {
    const { code = 'unknown', message } = reason as Error & { readonly code?: string };
    return { ok: false, code: String(code), message };
  }
}
