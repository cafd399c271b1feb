/**
 * The verbs library for user programs (rdma-core, libibverbs): the names of C, with the process's
 * channel first. Where C returns an errno or NULL, these throw `SystemCallError` of family `errno`.
 * What C hides behind pointers are plain objects here, which may be copied and sent; addresses are
 * those of user memory (`hostMemoryAlloc`) or the `iova` of a dma-buf region.
 */
import { O_CLOEXEC, O_RDWR } from '../process/open-flags.ts';
import { errnoFailure, type SystemCallChannel, SystemCallError } from '../process/system-call.ts';
import type { IbvAccessFlag } from './mr.ts';
import {
  type Made,
  made,
  request,
  type VerbsAsyncEvent,
  type VerbsContext,
  type VerbsMr,
  type VerbsPd,
} from './rdma-core-objects.ts';
import type { DmaBufMode } from './region-memory.ts';
import { type IbvDeviceAttr, type IbvGid, UVERBS_NODE_PATH } from './uverbs-uapi.ts';

/** Opens the host's NIC. Closing the descriptor destroys all that was made with it. */
export async function ibv_open_device(channel: SystemCallChannel): Promise<VerbsContext> {
  const argument = { path: UVERBS_NODE_PATH, flags: O_RDWR | O_CLOEXEC };
  return { fd: (await channel.call('open', argument)) as number };
}

/**
 * The context behind a descriptor that another process has opened and passed on. Its objects are
 * reached by the handles that the other process tells. EBADF; EINVAL: not a verbs device.
 */
export async function ibv_import_device(
  channel: SystemCallChannel,
  fd: number,
): Promise<VerbsContext> {
  try {
    await ibv_query_device(channel, { fd });
  } catch (reason) {
    const isOther = reason instanceof SystemCallError && reason.code === 'ENOTTY';
    throw isOther ? errnoFailure('EINVAL', `fd ${fd} is not a verbs device`) : reason;
  }
  return { fd };
}

/** Destroys what is left in the context, unless another process or a `dup` still has it open. */
export async function ibv_close_device(
  channel: SystemCallChannel,
  context: VerbsContext,
): Promise<void> {
  await channel.call('close', { fd: context.fd });
}

export async function ibv_query_device(
  channel: SystemCallChannel,
  context: VerbsContext,
): Promise<IbvDeviceAttr> {
  const attributes = await request(channel, context, 'IB_USER_VERBS_CMD_QUERY_DEVICE');
  return attributes as unknown as IbvDeviceAttr;
}

/** Where peers find this host: they put it into the `ah_attr` of their queue pairs. */
export async function ibv_query_gid(
  channel: SystemCallChannel,
  context: VerbsContext,
): Promise<IbvGid> {
  return (await request(channel, context, 'IB_USER_VERBS_CMD_QUERY_GID')) as unknown as IbvGid;
}

/** ENOMEM: the file holds `max_pd` of them. */
export async function ibv_alloc_pd(
  channel: SystemCallChannel,
  context: VerbsContext,
): Promise<VerbsPd> {
  const { handle } = await made(channel, context, 'IB_USER_VERBS_CMD_ALLOC_PD', {});
  return { context, handle };
}

/** EBUSY: regions or queue pairs are left in it. */
export async function ibv_dealloc_pd(channel: SystemCallChannel, pd: VerbsPd): Promise<void> {
  await request(channel, pd.context, 'IB_USER_VERBS_CMD_DEALLOC_PD', { pd: pd.handle });
}

/** Registers [address, address + length) of the caller's memory. EFAULT; EINVAL; EOPNOTSUPP; ENOMEM. */
export async function ibv_reg_mr(
  channel: SystemCallChannel,
  pd: VerbsPd,
  address: number,
  length: number,
  access: readonly IbvAccessFlag[],
): Promise<VerbsMr> {
  const argument = { pd: pd.handle, address, length, access };
  return region(pd, await made(channel, pd.context, 'IB_USER_VERBS_CMD_REG_MR', argument));
}

/**
 * Registers [offset, offset + length) of the dma-buf behind `fd`, one of the caller's descriptors (0 is
 * one, too), under addresses from `iova` on. EBADF: no such fd; EINVAL: not a dma-buf, a range outside
 * it, `iova` and `offset` that differ below the page size, rights it cannot have; ENOMEM; else what
 * the exporter answers (ENODEV: revoked, EOPNOTSUPP, EPERM). `mode`, hlsim's own: what happens when
 * the exporter takes the memory back; the NIC has a default.
 */
export async function ibv_reg_dmabuf_mr(
  channel: SystemCallChannel,
  pd: VerbsPd,
  offset: number,
  length: number,
  iova: number,
  fd: number,
  access: readonly IbvAccessFlag[],
  mode?: DmaBufMode,
): Promise<VerbsMr> {
  const argument = { pd: pd.handle, offset, length, iova, fd, access, mode };
  return region(pd, await made(channel, pd.context, 'UVERBS_METHOD_REG_DMABUF_MR', argument));
}

/**
 * Changes a region of user memory: its range, domain or rights. The region as it is then, under new
 * keys. EINVAL (IBV_REREG_MR_ERR_INPUT): a dma-buf region, or nothing it could have; it stays as it was.
 */
export async function ibv_rereg_mr(
  channel: SystemCallChannel,
  mr: VerbsMr,
  change: {
    readonly translation?: { readonly address: number; readonly length: number };
    readonly pd?: VerbsPd;
    readonly access?: readonly IbvAccessFlag[];
  },
): Promise<VerbsMr> {
  const { translation, pd, access } = change;
  const argument = { mr: mr.handle, ...translation, pd: pd?.handle, access };
  return region(mr, await made(channel, mr.context, 'IB_USER_VERBS_CMD_REREG_MR', argument));
}

/** Returns when nobody reads or writes the memory through the region any more. */
export async function ibv_dereg_mr(channel: SystemCallChannel, mr: VerbsMr): Promise<void> {
  await request(channel, mr.context, 'IB_USER_VERBS_CMD_DEREG_MR', { mr: mr.handle });
}

/** hlsim's own: whether the region is still good, or has been revoked. */
export async function ibv_query_mr(
  channel: SystemCallChannel,
  mr: VerbsMr,
): Promise<{ readonly state: 'VALID' | 'REVOKED' }> {
  const result = await request(channel, mr.context, 'UVERBS_METHOD_QUERY_MR', { mr: mr.handle });
  return result as { readonly state: 'VALID' | 'REVOKED' };
}

/**
 * The next asynchronous event, waited for at most `timeoutMs`. EAGAIN: there was none. Acknowledge it
 * when done: the end of its object waits for that.
 */
export async function ibv_get_async_event(
  channel: SystemCallChannel,
  context: VerbsContext,
  timeoutMs: number,
): Promise<VerbsAsyncEvent> {
  const result = await request(channel, context, 'UVERBS_METHOD_GET_ASYNC_EVENT', { timeoutMs });
  return { context, ...(result as unknown as Omit<VerbsAsyncEvent, 'context'>) };
}

export async function ibv_ack_async_event(
  channel: SystemCallChannel,
  { context, event }: VerbsAsyncEvent,
): Promise<void> {
  await request(channel, context, 'UVERBS_METHOD_ACK_ASYNC_EVENT', { event });
}

function region({ context }: { readonly context: VerbsContext }, result: Made): VerbsMr {
  const { handle, lkey, rkey, addr, length } = result as unknown as Omit<VerbsMr, 'context'>;
  return { context, handle, lkey, rkey, addr, length };
}
