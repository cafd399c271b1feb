/** The driver's border to user processes: reads arguments, calls the context, turns errno into failure. */
import { type Errno, isErrno } from '../../common/errno.ts';
import type { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import {
  arrayField,
  booleanField,
  field,
  integerField,
  recordOf,
  type SystemCallRecord,
  stringField,
} from '../process/system-call-argument.ts';
import type { Context } from './context.ts';
import { exportDmaBuf } from './dma-buf-exporter.ts';
import { MEMORY_ERRORS, SUBMISSION_ERRORS } from './errno-tables.ts';
import {
  CS_TIMEOUT_MAX_SECONDS,
  CS_WAIT_TIMEOUT_MAX_US,
  JOBS_PER_CS_MAX,
  type Job,
  MULTI_CS_MAX,
  NOW_BYTES_MAX,
  type Tensor,
} from './job.ts';
import { isKernelName } from './kernels/table.ts';

/** Most tensors or scalars of a job, far above any kernel's. */
const JOB_PARAMETERS_MAX = 16;

/** HL_IOCTL_MEMORY */
export function memoryRequest(
  context: Context,
  deviceFile: OpenFile,
  caller: SimProcess,
  argument: SystemCallValue,
): SystemCallValue | Promise<SystemCallValue> {
  const record = recordOf(argument, 'the argument of HL_IOCTL_MEMORY');
  const integer = (name: string) => integerField(record, name);
  const op = stringField(record, 'op');
  switch (op) {
    case 'HL_MEM_OP_ALLOC':
      booleanField(record, 'contiguous');
      booleanField(record, 'shared');
      return { handle: succeed(context.alloc(integer('size'), integer('pageSize')), op) };
    case 'HL_MEM_OP_FREE':
      return succeed(context.free(integer('handle'), sizeOf(record)), `${op} ${integer('handle')}`);
    case 'HL_MEM_OP_MAP':
      return { address: succeed(map(context, caller, record), op) };
    case 'HL_MEM_OP_UNMAP':
      return succeed(context.unmap(integer('address')), `${op} ${integer('address')}`);
    case 'HL_MEM_OP_EXPORT_DMABUF_FD': {
      const range = {
        address: integer('address'),
        size: integer('size'),
        offset: integer('offset'),
      };
      return {
        fd: succeed(exportDmaBuf(context, deviceFile, caller, range, integer('flags')), op),
      };
    }
    case 'HL_MEM_OP_REG_DMABUF_FD':
      return context
        .mapDmaBuf(caller, integer('fd'), integer('size'))
        .then((address) => ({ address: succeed(address, op) }));
    default:
      throw errnoFailure(MEMORY_ERRORS.unknownOp.errno, `HL_IOCTL_MEMORY has no op ${op}`);
  }
}

function map(context: Context, caller: SimProcess, record: SystemCallRecord): number | Errno {
  if (booleanField(record, 'userptr')) {
    return context.mapHost(
      caller,
      integerField(record, 'userAddress'),
      integerField(record, 'size'),
    );
  }
  const hint = { address: integerField(record, 'hint'), force: booleanField(record, 'forceHint') };
  return context.map(integerField(record, 'handle'), hint);
}

/** Of FREE on a Gaudi 1; absent otherwise. */
function sizeOf(record: SystemCallRecord): number {
  return field(record, 'size') === undefined ? 0 : integerField(record, 'size');
}

/** HL_IOCTL_CS */
export function submissionRequest(context: Context, argument: SystemCallValue): SystemCallValue {
  const record = recordOf(argument, 'the argument of HL_IOCTL_CS');
  const jobs = arrayField(record, 'jobs', JOBS_PER_CS_MAX).map(jobOf);
  if (field(record, 'now') === true) {
    if (jobs.reduce(addBytes, 0) > NOW_BYTES_MAX) {
      throw errnoFailure('EINVAL', `HL_IOCTL_CS of more than ${NOW_BYTES_MAX} bytes at once`);
    }
    return { status: succeed(context.commands.runNow(jobs), 'HL_IOCTL_CS') };
  }
  const sequence = context.commands.submit(jobs, timeoutMsOf(record));
  return { sequence: succeed(sequence, 'HL_IOCTL_CS') };
}

function addBytes(sum: number, job: Job): number {
  if (job.kind === 'dma') return sum + job.bytes;
  return job.tensors.reduce((bytes, tensor) => bytes + tensor.bytes, sum);
}

/** `undefined`: the device's own. */
function timeoutMsOf(record: SystemCallRecord): number | undefined {
  if (field(record, 'timeoutSeconds') === undefined) return undefined;
  const seconds = integerField(record, 'timeoutSeconds');
  if (seconds > 0 && seconds <= CS_TIMEOUT_MAX_SECONDS) return seconds * 1000;
  const limit = `1 to ${CS_TIMEOUT_MAX_SECONDS} s`;
  throw errnoFailure('EINVAL', `expected a timeout of ${limit} but found ${seconds} s`);
}

/** HL_IOCTL_WAIT_CS, for one submission or for any of several. */
export async function waitRequest(
  context: Context,
  argument: SystemCallValue,
): Promise<SystemCallValue> {
  const record = recordOf(argument, 'the argument of HL_IOCTL_WAIT_CS');
  const timeoutUs = waitTimeoutUs(record);
  if (field(record, 'sequences') !== undefined) {
    const sequences = arrayField(record, 'sequences', MULTI_CS_MAX).map(sequenceOf);
    const found = await context.commands.waitAny(sequences, timeoutUs);
    if (isErrno(found)) throw errnoFailure(found, `HL_IOCTL_WAIT_CS of ${sequences.join()}`);
    return { ...found };
  }
  const sequence = integerField(record, 'sequence');
  const status = await context.commands.wait(sequence, timeoutUs);
  return { status: succeed(status, `HL_IOCTL_WAIT_CS of submission ${sequence}`) };
}

/** HL_IOCTL_DEBUG: turns debug mode on or off. EFAULT: it is so already. */
export function debugRequest(context: Context, argument: SystemCallValue): SystemCallValue {
  const record = recordOf(argument, 'the argument of HL_IOCTL_DEBUG');
  const op = stringField(record, 'op');
  if (op !== 'HL_DEBUG_OP_SET_MODE') {
    throw errnoFailure('EOPNOTSUPP', `HL_IOCTL_DEBUG ${op}: there is no trace hardware`);
  }
  const mode = booleanField(record, 'enable') ? 'on' : 'off';
  if (context.debugMode === mode) throw errnoFailure('EFAULT', `debug mode is ${mode} already`);
  context.debugMode = mode;
  return undefined;
}

/** `timeoutUs` of a request that waits, within bounds. */
export function waitTimeoutUs(record: SystemCallRecord): number {
  const timeoutUs = integerField(record, 'timeoutUs');
  if (timeoutUs <= CS_WAIT_TIMEOUT_MAX_US) return timeoutUs;
  const limit = `at most ${CS_WAIT_TIMEOUT_MAX_US} us`;
  throw errnoFailure(
    SUBMISSION_ERRORS.timeout.errno,
    `expected a timeout of ${limit} but found ${timeoutUs} us`,
  );
}

function sequenceOf(value: SystemCallValue): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw errnoFailure(SUBMISSION_ERRORS.unknown.errno, 'expected sequence numbers');
}

function jobOf(value: SystemCallValue, index: number): Job {
  const record = recordOf(value, `job ${index}`);
  const kind = stringField(record, 'kind');
  if (kind === 'dma') {
    return {
      kind,
      source: integerField(record, 'source'),
      destination: integerField(record, 'destination'),
      bytes: integerField(record, 'bytes'),
    };
  }
  const kernel = stringField(record, 'kernel');
  if (kind !== 'kernel' || !isKernelName(kernel)) {
    throw errnoFailure('EINVAL', `job ${index} is of unknown kind ${kind} ${kernel}`);
  }
  const tensors = arrayField(record, 'tensors', JOB_PARAMETERS_MAX).map(tensorOf);
  const scalars = arrayField(record, 'scalars', JOB_PARAMETERS_MAX).map(scalarOf);
  return { kind, kernel, tensors, scalars };
}

function tensorOf(value: SystemCallValue): Tensor {
  const record = recordOf(value, 'a tensor');
  return { address: integerField(record, 'address'), bytes: integerField(record, 'bytes') };
}

function scalarOf(value: SystemCallValue): number {
  if (typeof value === 'number') return value;
  throw errnoFailure('EINVAL', 'expected a scalar to be a number');
}

/** The result, or the failure that the caller sees. */
export function succeed<T extends SystemCallValue>(result: T | Errno, what: string): T {
  if (isErrno(result)) throw errnoFailure(result, what);
  return result as T;
}
