/** What a host may say, beyond the schema: it speaks for its own ranks only. */
import type { HostToCoordinator } from './hlcp/messages.ts';
import type { DispatchedJob } from './job.ts';
import type { ServiceMessage } from './job-services.ts';
import { type Member, ranksOfHost, rankWords } from './membership.ts';

/** Messages that belong to a job. */
export type JobMessage = Extract<HostToCoordinator, { jobId: string }>;

/** Whether the job's services answer it; the rest goes to the job's client. */
export function isServiceMessage(message: JobMessage): message is ServiceMessage {
  switch (message.type) {
    case 'HLCP_COMM_DATA':
    case 'HLCP_COMM_ERROR':
    case 'HLCP_SYNC':
    case 'HLCP_STORE_SET':
    case 'HLCP_STORE_GET':
      return true;
    default:
      return false;
  }
}

/** Which rule `message` of `member` breaks; `undefined` if none. */
export function breachOf(
  member: Member,
  job: DispatchedJob,
  message: JobMessage,
): string | undefined {
  const { entry, peer } = member;
  if (!job.hosts.some((host) => host.peer === peer)) {
    return `Expected messages about job ${job.jobId} from its hosts only but found ${message.type} of ${entry.hostname}`;
  }
  switch (message.type) {
    case 'HLCP_COMM_DATA':
      return message.member.nodeId === entry.nodeId
        ? undefined
        : `Expected an endpoint of node ${entry.nodeId} but found one of ${message.member.nodeId}`;
    case 'HLCP_SYNC':
    case 'HLCP_JOB_OUTPUT':
    case 'HLCP_JOB_REPORT':
    case 'HLCP_RANK_EXIT':
      return ranksOfHost(entry).includes(message.rank)
        ? undefined
        : `Expected ${message.type} of ${rankWords(ranksOfHost(entry))} but found rank ${message.rank}`;
    default:
      return undefined;
  }
}
