/**
 * What HCCL needs from the job it runs in: rendezvous of communicators, the coordinator's verdicts,
 * barrier, store, reports. The host implements it over its control connection.
 */
import type { CommMember } from '../../coordinator/hlcp/messages.ts';
import type { SimProcess } from '../process/sim-process.ts';
import type { HcclFailure } from './failure.ts';

/** A communicator's identity: job, unique id, epoch. */
export interface CommKey {
  readonly jobId: string;
  readonly uniqueId: string;
  readonly epoch: number;
}

/** The job's place in which one simulated process runs. */
export interface JobRank {
  readonly jobId: string;
  readonly rank: number;
  readonly nranks: number;
  /** Variables of the job, for settings such as HLSIM_ALGORITHM. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A host died: the coordinator's verdict. Ranks are those of the job. */
export interface LostHost {
  readonly nodeId: string;
  readonly hostname: string;
  readonly ranks: readonly number[];
  readonly reason: string;
}

/** What the coordinator says about a communicator after it is complete. */
export interface CommListener {
  /** A member reported it broken, or it is broken by the coordinator's judgement. */
  failed(failure: HcclFailure): void;
  /** A host died. May concern this communicator or not. */
  hostLost(host: LostHost): void;
}

export interface JobServices {
  /** The job rank of a process; `undefined` if it belongs to no job. */
  jobRankOf(process: SimProcess): JobRank | undefined;
  /**
   * Joins the rendezvous of a communicator and returns all members in rank order. Rejects with
   * `HlsimError` HLSIM_RENDEZVOUS, within the coordinator's deadline.
   */
  joinCommunicator(
    key: CommKey,
    nranks: number,
    member: CommMember,
  ): Promise<readonly CommMember[]>;
  /** Hears about a communicator from now on, until the returned function is called. */
  watchCommunicator(key: CommKey, listener: CommListener): () => void;
  /** Tells every member, through the coordinator, that the communicator is broken. */
  reportCommunicatorFailure(key: CommKey, rank: number, failure: HcclFailure): void;
  barrier(job: JobRank): Promise<void>;
  storeSet(job: JobRank, key: string, value: string): void;
  storeGet(job: JobRank, key: string): Promise<string>;
  /** Passes a JSON text on to whoever submitted the job. */
  report(job: JobRank, json: string): void;
}
