/** The job machine and, while a job has ranks, the services of that job: they live and die together. */
import { HlsimError } from '../common/errors.ts';
import type { Effect, OutwardEffect, PeerId } from './effect.ts';
import type { Failure } from './hlcp/messages.ts';
import { failureOf } from './hlcp/refusal.ts';
import { breachOf, isServiceMessage, type JobMessage } from './host-message.ts';
import { type DispatchedJob, dispatchedJob, type Jobs, NO_JOB } from './job.ts';
import {
  type JobServices,
  type ServiceEvent,
  servicesDeadlineMs,
  startServices,
  stepServices,
} from './job-services.ts';
import { type JobEvent, jobDeadlineMs, stepJobs } from './jobs.ts';
import type { Member, Membership } from './membership.ts';

export class JobControl {
  readonly #emit: (effect: OutwardEffect) => void;
  #jobs: Jobs = NO_JOB;
  /** Of the job that has ranks. */
  #services: JobServices | undefined;

  /** `emit` takes the effects, in order; it may call back into `step`. */
  constructor(emit: (effect: OutwardEffect) => void) {
    this.#emit = emit;
  }

  get jobs(): Jobs {
    return this.#jobs;
  }

  /** The job that has ranks. */
  get dispatched(): DispatchedJob | undefined {
    return dispatchedJob(this.#jobs);
  }

  /** When a `tick` is due; `undefined` for what is not bounded by time. */
  deadlinesMs(): (number | undefined)[] {
    const services = this.#services === undefined ? undefined : servicesDeadlineMs(this.#services);
    return [jobDeadlineMs(this.#jobs), services];
  }

  step(event: JobEvent, now: number): void {
    const { state, effects } = stepJobs(this.#jobs, event, now);
    this.#jobs = state;
    const job = this.dispatched;
    if (job === undefined) this.#services = undefined;
    else if (job.jobId !== this.#services?.jobId) this.#services = startServices(job);
    this.#emitAll(effects, now);
  }

  tick(membership: Membership, now: number): void {
    this.#stepServices({ type: 'tick' }, now);
    this.step({ type: 'tick', membership }, now);
  }

  hostLost(peer: PeerId, failure: Failure, now: number): void {
    this.#stepServices({ type: 'hostLost', peer, failure }, now);
    this.step({ type: 'hostLost', peer, failure }, now);
  }

  /** A message of `member` about a job; returns the rule that it breaks, if it breaks one. */
  hostMessage(member: Member, message: JobMessage, now: number): string | undefined {
    const job = this.dispatched;
    if (job?.jobId !== message.jobId) {
      this.#staleMessage(member, message);
      return undefined;
    }
    const breach = breachOf(member, job, message);
    if (breach !== undefined) return breach;
    const { hostname } = member.entry;
    if (isServiceMessage(message)) {
      this.#stepServices({ type: 'message', peer: member.peer, hostname, job, message }, now);
    } else if (message.type === 'HLCP_RANK_EXIT') {
      this.step({ type: 'exit', hostname, message }, now);
      this.#stepServices({ type: 'exit', rank: message.rank }, now);
    } else if (job.client !== undefined) {
      this.#emit({ type: 'toClient', peer: job.client, message });
    }
    return undefined;
  }

  /** A rank that has not yet heard that its job is over. Only a rendezvous has somebody waiting. */
  #staleMessage({ peer }: Member, message: JobMessage): void {
    if (message.type !== 'HLCP_COMM_DATA') return;
    const { jobId, uniqueId, epoch } = message;
    const failure = failureOf(
      new HlsimError('HLSIM_RENDEZVOUS', `Expected a running job but job ${jobId} has ended`),
    );
    this.#emit({
      type: 'toHost',
      peer,
      message: { type: 'HLCP_COMM_FAILED', jobId, uniqueId, epoch, failure },
    });
  }

  #stepServices(event: ServiceEvent, now: number): void {
    if (this.#services === undefined) return;
    const { state, effects } = stepServices(this.#services, event, now);
    this.#services = state;
    this.#emitAll(effects, now);
  }

  #emitAll(effects: readonly Effect[], now: number): void {
    for (const effect of effects) {
      if (effect.type === 'failJob') this.step({ type: 'fail', failure: effect.failure }, now);
      else this.#emit(effect);
    }
  }
}
