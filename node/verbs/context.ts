/**
 * Opened devices and protection domains (`struct ibv_context`, `struct ibv_pd`; ibv_open_device(3),
 * ibv_alloc_pd(3)). A context belongs to one process and ends with it.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { AsyncEventQueue } from './async-events.ts';
import type { CmService } from './cm.ts';
import type { IbvCq } from './cq.ts';
import type { IbvMr } from './mr.ts';
import type { Nic } from './nic.ts';
import type { IbvQp } from './qp.ts';

export type { SimProcess } from '../process/sim-process.ts';

export class IbvContext {
  readonly nic: Nic;
  readonly process: SimProcess;
  readonly pds = new Set<IbvPd>();
  readonly cqs = new Set<IbvCq>();
  readonly services = new Set<CmService>();
  readonly asyncEvents: AsyncEventQueue;
  /** Takes the process's exit hook back. */
  releaseExitHook: () => void = () => undefined;

  constructor(nic: Nic, process: SimProcess) {
    this.nic = nic;
    this.process = process;
    this.asyncEvents = new AsyncEventQueue(nic.scheduler);
  }
}

/** What may work together: a queue pair reaches only regions of its own domain. */
export class IbvPd {
  readonly context: IbvContext;
  readonly mrs = new Set<IbvMr>();
  readonly qps = new Set<IbvQp>();

  constructor(context: IbvContext) {
    this.context = context;
  }
}

/** Opens the NIC for `process`. The end of the process closes it. */
export function ibv_open_device(nic: Nic, process: SimProcess): IbvContext {
  assert(process.state === 'running', `Expected process ${process.pid} to run`);
  const context = new IbvContext(nic, process);
  nic.contexts.add(context);
  context.releaseExitHook = process.onExit(() => ibv_close_device(context));
  return context;
}

/**
 * Closes the context and destroys whatever is left in it, as the kernel does when the file closes:
 * services, queue pairs, regions, completion queues, domains. Idempotent; never fails.
 */
export function ibv_close_device(context: IbvContext): void {
  if (!context.nic.contexts.delete(context)) return;
  context.releaseExitHook();
  for (const service of [...context.services]) service.close();
  for (const pd of [...context.pds]) {
    for (const qp of [...pd.qps]) qp.destroy();
    for (const mr of [...pd.mrs]) void mr.deregister();
    context.pds.delete(pd);
  }
  context.cqs.clear();
  context.asyncEvents.close();
}

export function ibv_alloc_pd(context: IbvContext): IbvPd {
  assert(context.nic.contexts.has(context), 'Expected an open device');
  const pd = new IbvPd(context);
  context.pds.add(pd);
  return pd;
}

/** EBUSY: regions or queue pairs are left in it. */
export function ibv_dealloc_pd(pd: IbvPd): Errno | undefined {
  if (pd.mrs.size > 0 || pd.qps.size > 0) return 'EBUSY';
  assert(pd.context.pds.delete(pd), 'Expected the domain to be allocated');
  return undefined;
}
