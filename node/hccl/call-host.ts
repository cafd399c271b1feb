/** What the system calls of HCCL share: whose call it is, and how its arguments are read. */
import { z } from 'zod';
import type { SimProcess } from '../process/sim-process.ts';
import type { SystemCallValue } from '../process/system-call.ts';
import type { SystemCallHandler } from '../process/system-call-table.ts';
import { hcclError, invalidArgument } from './failure.ts';
import type { JobRank, JobServices } from './job-services.ts';
import type { OpenCommunicator } from './open-communicator.ts';
import type { HcclProcess } from './process-state.ts';
import type { Stream } from './stream.ts';

/** The library, as each family of calls sees it. */
export interface CallHost {
  readonly services: JobServices;
  /** A new unique id. */
  uniqueId(): string;
  register(name: string, handler: SystemCallHandler): void;
  /** What HCCL holds for a process, made with its first call. */
  state(caller: SimProcess): HcclProcess;
  /** The process's place in its job. Throws hcclInvalidUsage if it has none. */
  jobRank(caller: SimProcess): JobRank;
}

const commArgument = z.object({ comm: z.int() });

/** Throws hcclInvalidArgument for arguments of the wrong form. */
export function parse<T>(schema: z.ZodType<T>, argument: SystemCallValue): T {
  const result = schema.safeParse(argument);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join('.') ?? 'the arguments';
  throw invalidArgument(`Expected well-formed arguments but found, at ${where}: ${issue?.message}`);
}

/** The communicator that `argument.comm` names. Throws hcclInvalidArgument if there is none. */
export function communicatorOf(state: HcclProcess, argument: SystemCallValue): OpenCommunicator {
  return findCommunicator(state, parse(commArgument, argument).comm);
}

/** Throws hcclInvalidArgument if there is none. */
export function findCommunicator(state: HcclProcess, comm: number): OpenCommunicator {
  const open = state.communicator(comm);
  if (open === undefined) throw invalidArgument(`Expected a communicator but found ${comm}`);
  return open;
}

/** Throws hcclInvalidArgument if there is none. */
export function findStream(state: HcclProcess, stream: number): Stream {
  const found = state.streams.get(stream);
  if (found === undefined) throw invalidArgument(`Expected a stream but found ${stream}`);
  return found;
}

/** Throws hcclInvalidUsage for a communicator with calls in a group that has not ended. */
export function expectNoGroup(open: OpenCommunicator, name: string): void {
  if (open.recorded === 0) return;
  const message = `Expected hcclGroupEnd before ${name} but found ${open.recorded} recorded calls of the communicator`;
  throw hcclError({ result: 'hcclInvalidUsage', message });
}
