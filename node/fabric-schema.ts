/** What user programs may hand to libfabric's calls. Nothing of it is trusted. */
import { z } from 'zod';
import { FI_DATATYPES, FI_OPS } from './fabric/atomic.ts';
import { NAME_BYTES_MAX } from './fabric/endpoint-name.ts';
import { FI_FLAGS } from './fabric/flags.ts';
import { FI_CAPABILITIES, FI_MODES, FI_MR_MODES, FI_ORDERS } from './fabric/info-types.ts';
import type { FabricProcess } from './fabric-process.ts';
import { errnoFailure } from './process/system-call.ts';

/** Names of endpoints in one call of fi_av_insert. */
const NAMES_MAX = 1_024;
/** Completions that one read takes. */
const READ_ENTRIES_MAX = 1_024;
/** Longest name of a provider or domain. */
const NAME_LENGTH_MAX = 64;
/** Longest list of providers. */
const PROVIDERS_LENGTH_MAX = 1_024;
/** Longest wait of a call. */
const TIMEOUT_MAX_MS = 600_000;
const UINT32_MAX = 2 ** 32 - 1;
const UINT64_MAX = 2n ** 64n - 1n;

export const fid = z.int().positive();
export const count = z.int().nonnegative();
/** An index in an address vector, FI_ADDR_UNSPEC or FI_ADDR_NOTAVAIL. */
export const fiAddr = z.int().min(-2);
export const uint32 = z.int().min(0).max(UINT32_MAX);
export const uint64 = z.bigint().min(0n).max(UINT64_MAX);
export const timeoutMs = z.int().min(0).max(TIMEOUT_MAX_MS);
export const readEntries = z.int().min(1).max(READ_ENTRIES_MAX);

/** Whether they are names is for the call to say. */
export const endpointNames = z
  .array(z.instanceof(Uint8Array).refine((name) => name.byteLength <= NAME_BYTES_MAX))
  .max(NAMES_MAX);

export const flags = z.array(z.enum(FI_FLAGS)).max(FI_FLAGS.length);
const orders = z.array(z.enum(FI_ORDERS)).max(FI_ORDERS.length);
const progress = z.enum(['FI_PROGRESS_UNSPEC', 'FI_PROGRESS_AUTO', 'FI_PROGRESS_MANUAL']);
const name = z.string().max(NAME_LENGTH_MAX);

const epAttr = z.strictObject({
  type: z.enum(['FI_EP_UNSPEC', 'FI_EP_RDM', 'FI_EP_MSG', 'FI_EP_DGRAM']),
  max_msg_size: count.exactOptional(),
  max_order_raw_size: count.exactOptional(),
  max_order_war_size: count.exactOptional(),
  max_order_waw_size: count.exactOptional(),
});
const rxAttr = z.strictObject({
  msg_order: orders.exactOptional(),
  op_flags: flags.exactOptional(),
  size: count.exactOptional(),
  iov_limit: count.exactOptional(),
});
const txAttr = rxAttr.extend({
  inject_size: count.exactOptional(),
  rma_iov_limit: count.exactOptional(),
});
const domainAttr = z.strictObject({
  name: name.exactOptional(),
  mr_mode: z.array(z.enum(FI_MR_MODES)).max(FI_MR_MODES.length),
  control_progress: progress.exactOptional(),
  data_progress: progress.exactOptional(),
  resource_mgmt: z.enum(['FI_RM_UNSPEC', 'FI_RM_ENABLED', 'FI_RM_DISABLED']).exactOptional(),
  av_type: z.enum(['FI_AV_UNSPEC', 'FI_AV_TABLE', 'FI_AV_MAP']).exactOptional(),
  cq_data_size: count.exactOptional(),
  mr_key_size: count.exactOptional(),
});

export const info = z.strictObject({
  ep_attr: epAttr,
  caps: z.array(z.enum(FI_CAPABILITIES)).max(FI_CAPABILITIES.length),
  mode: z.array(z.enum(FI_MODES)).max(FI_MODES.length).exactOptional(),
  addr_format: z
    .enum(['FI_FORMAT_UNSPEC', 'FI_SOCKADDR', 'FI_SOCKADDR_IN', 'FI_SOCKADDR_IN6'])
    .exactOptional(),
  tx_attr: txAttr.exactOptional(),
  rx_attr: rxAttr.exactOptional(),
  domain_attr: domainAttr,
  fabric_attr: z
    .strictObject({ prov_name: name.exactOptional(), name: name.exactOptional() })
    .exactOptional(),
});

/** `providers`: what FI_PROVIDER says. */
export const getinfo = z.strictObject({
  hints: info.exactOptional(),
  providers: z.string().max(PROVIDERS_LENGTH_MAX).exactOptional(),
});

export const mrRegistration = z.strictObject({
  domain: fid,
  attr: z.strictObject({
    dmabuf: z
      .strictObject({ fd: count, offset: count, len: count, base_addr: count })
      .exactOptional(),
    host: z.strictObject({ address: count, length: count, base_addr: count }).exactOptional(),
    access: z
      .array(
        z.enum(['FI_SEND', 'FI_RECV', 'FI_READ', 'FI_WRITE', 'FI_REMOTE_READ', 'FI_REMOTE_WRITE']),
      )
      .max(6),
    offset: count.exactOptional(),
    requested_key: uint64.exactOptional(),
    iface: z.enum([
      'FI_HMEM_SYSTEM',
      'FI_HMEM_CUDA',
      'FI_HMEM_ROCR',
      'FI_HMEM_ZE',
      'FI_HMEM_NEURON',
      'FI_HMEM_SYNAPSEAI',
    ]),
  }),
  flags: z
    .array(z.enum(['FI_MR_DMABUF', 'FI_HMEM_DEVICE_ONLY', 'FI_HMEM_HOST_ALLOC', 'FI_RMA_EVENT']))
    .max(4),
});

/** Bytes of the caller's memory. */
export const userRange = z.strictObject({ address: count, length: count });
export const mrBuffer = z.strictObject({
  kind: z.literal('mr'),
  mr: fid,
  address: count,
  length: count,
});
export const hostBuffer = userRange.extend({ kind: z.literal('host') });
export const buffer = z.discriminatedUnion('kind', [mrBuffer, hostBuffer]);

/** What every call that posts an operation has. `flags`: absent for the calls that take none. */
export const operation = z.strictObject({ endpoint: fid, context: count });
const posting = operation.extend({ flags: flags.exactOptional() });
export const message = posting.extend({ buffer, dest: fiAddr, data: uint32.exactOptional() });
export const receive = posting.extend({ buffer, source: fiAddr });
export const tag = { tag: uint64 };
export const match = { tag: uint64, ignore: uint64 };
export const injection = z.strictObject({
  endpoint: fid,
  buffer: userRange,
  dest: fiAddr,
  data: uint32.exactOptional(),
});
export const rma = posting.extend({
  local: mrBuffer,
  dest: fiAddr,
  remoteAddress: count,
  key: uint64,
  data: uint32.exactOptional(),
});

export const atomic = operation.extend({
  operand: uint64,
  dest: fiAddr,
  remoteAddress: count,
  key: uint64,
  datatype: z.enum(FI_DATATYPES),
  op: z.enum(FI_OPS),
});
export const fetchAtomic = atomic.extend({ result: buffer });
export const compareAtomic = fetchAtomic.extend({ compare: uint64 });

/** Serves one call of a process, whose argument is checked first. Gives what libfabric answers. */
export type FabricCall = (state: FabricProcess, argument: unknown) => unknown;

/** EINVAL: the argument is not of this shape. */
export function call<T>(
  shape: z.ZodType<T>,
  serve: (state: FabricProcess, argument: T) => unknown,
): FabricCall {
  return (state, argument) => {
    const parsed = shape.safeParse(argument);
    if (parsed.success) return serve(state, parsed.data);
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') || 'the argument';
    throw errnoFailure('EINVAL', `at ${where}: ${issue?.message ?? 'not of the right form'}`);
  };
}
