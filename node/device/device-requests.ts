/** The driver's border to user processes: reads arguments, calls the context, turns errno into failure. */
import { type Errno, isErrno } from '../../common/errno.ts';
import type { OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import {
  arrayField,
  booleanField,
  integerField,
  recordOf,
  type SystemCallRecord,
  stringField,
} from '../process/system-call-argument.ts';
import type { Context } from './context.ts';
import { exportDmaBuf } from './dma-buf-exporter.ts';
import { CS_WAIT_TIMEOUT_MAX_US, JOBS_PER_CS_MAX, type Job, type Tensor } from './job.ts';
import { isKernelName } from './kernels/table.ts';

/** Most tensors or scalars of a job, far above any kernel's. */
const JOB_PARAMETERS_MAX = 16;

/** HL_IOCTL_MEMORY */
export function memoryRequest(
  context: Context,
  deviceFile: OpenFile,
  caller: SimProcess,
  argument: SystemCallValue,
): SystemCallValue {
  const record = recordOf(argument, 'the argument of HL_IOCTL_MEMORY');
  const integer = (name: string) => integerField(record, name);
  const op = stringField(record, 'op');
  switch (op) {
    case 'HL_MEM_OP_ALLOC':
      booleanField(record, 'contiguous');
      booleanField(record, 'shared');
      return { handle: succeed(context.alloc(integer('size'), integer('pageSize')), op) };
    case 'HL_MEM_OP_FREE':
      return succeed(context.free(integer('handle')), `${op} ${integer('handle')}`);
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
      return { address: succeed(context.mapDmaBuf(caller, integer('fd'), integer('size')), op) };
    default:
      throw errnoFailure('EINVAL', `HL_IOCTL_MEMORY has no op ${op}`);
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

/** HL_IOCTL_CS */
export function submissionRequest(context: Context, argument: SystemCallValue): SystemCallValue {
  const record = recordOf(argument, 'the argument of HL_IOCTL_CS');
  const jobs = arrayField(record, 'jobs', JOBS_PER_CS_MAX).map(jobOf);
  return { sequence: succeed(context.commands.submit(jobs), 'HL_IOCTL_CS') };
}

/** HL_IOCTL_WAIT_CS */
export async function waitRequest(
  context: Context,
  argument: SystemCallValue,
): Promise<SystemCallValue> {
  const record = recordOf(argument, 'the argument of HL_IOCTL_WAIT_CS');
  const sequence = integerField(record, 'sequence');
  const timeoutUs = integerField(record, 'timeoutUs');
  if (timeoutUs > CS_WAIT_TIMEOUT_MAX_US) {
    const limit = `at most ${CS_WAIT_TIMEOUT_MAX_US} us`;
    throw errnoFailure('EINVAL', `expected a timeout of ${limit} but found ${timeoutUs} us`);
  }
  const status = await context.commands.wait(sequence, timeoutUs);
  return { status: succeed(status, `HL_IOCTL_WAIT_CS of submission ${sequence}`) };
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
function succeed<T extends SystemCallValue>(result: T | Errno, what: string): T {
  if (isErrno(result)) throw errnoFailure(result, what);
  return result as T;
}
