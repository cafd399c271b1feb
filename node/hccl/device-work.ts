/** What HCCL has the device do around the transfers: copies of messages to oneself, scaling. */
import type { Job } from '../device/job.ts';
import {
  averageKernel,
  averageScalars,
  preMulKernel,
  preMulScalars,
} from '../device/kernels/element-kernels.ts';
import type { DeviceSession } from './device-session.ts';
import { hcclError } from './failure.ts';
import type { HcclDataTypeRow } from './hccl.ts';
import type { LocalBuffer } from './operation.ts';

type Launches = Pick<DeviceSession, 'launch'>;

/** Copies a buffer into another of its size. Rejects if they overlap in part, or the device fails. */
export async function copyOnDevice(
  session: Launches,
  from: LocalBuffer,
  to: LocalBuffer,
): Promise<void> {
  if (from.bytes === 0 || from.address === to.address) return;
  const job = {
    kind: 'dma',
    source: from.address,
    destination: to.address,
    bytes: from.bytes,
  } as const;
  await launch(session, job);
}

/** `to` = `scalar` times `from`, elements of one type; they may be the same memory. */
export async function multiplyOnDevice(
  session: Launches,
  { name }: HcclDataTypeRow,
  scalar: number,
  { from, to }: { readonly from: LocalBuffer; readonly to: LocalBuffer },
): Promise<void> {
  if (from.bytes === 0) return;
  const kernel = preMulKernel(name);
  const tensors = [to, from].map(({ address }) => ({ address, bytes: from.bytes }));
  await launch(session, {
    kind: 'kernel',
    kernel,
    tensors,
    scalars: preMulScalars(name, scalar),
  });
}

/** Makes averages of sums over `nranks`, in place. */
export async function averageOnDevice(
  session: Launches,
  { name }: HcclDataTypeRow,
  { address, bytes }: LocalBuffer,
  nranks: number,
): Promise<void> {
  if (bytes === 0) return;
  const tensor = { address, bytes };
  await launch(session, {
    kind: 'kernel',
    kernel: averageKernel(name),
    tensors: [tensor, tensor],
    scalars: averageScalars(name, nranks),
  });
}

function launch(session: Launches, job: Job): Promise<void> {
  return new Promise((resolve, reject) => {
    session.launch(job, resolve, (failure) => reject(hcclError(failure)));
  });
}
