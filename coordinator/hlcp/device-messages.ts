/**
 * HLCP about devices: how they are, who holds their memory, and how one is freed. The schemas of
 * `messages.ts`, in a file of their own. The words for states and policies are the hosts'; the
 * coordinator passes them on.
 */
import { z } from 'zod';

const count = z.int().nonnegative();
const id = z.string().min(1).max(128);
const text = z.string();
const failure = z.object({ code: id, message: text });

/** Dma-bufs that a host reports one by one; it counts the rest. */
export const DMA_BUFS_REPORTED_MAX = 256;
/** Attachments, and descriptors, of one dma-buf that are reported one by one. */
export const DMA_BUF_USERS_REPORTED_MAX = 32;
/** Most files of a device that are reported as its openers. */
export const OPENERS_REPORTED_MAX = 64;

/** A simulated user process of a host. */
const userProcess = z.object({ pid: count, containerId: text });
export type UserProcess = z.infer<typeof userProcess>;

/** One device, as `hlsim smi` shows it. */
const deviceReport = z.object({
  index: count,
  asic: id,
  pciBusId: text,
  /** `enum hl_device_status`. */
  status: id,
  /** Whether somebody could open it, or what is in the way. */
  use: id,
  ownership: id,
  /** Whose memory is on it, also after the close; `null` if it is nobody's. */
  owner: userProcess.nullable(),
  /** Who a hard reset would kill. */
  openers: z.array(userProcess).max(OPENERS_REPORTED_MAX),
  hbmBytes: count,
  hbmUsedBytes: count,
  allocations: count,
  mappings: count,
  /** Those that can still reach its memory. */
  exportedDmaBufs: count,
  /** Attachments of other devices, the NIC's memory regions above all, to them. */
  memoryRegions: count,
  resets: z.object({ hard: count, soft: count }),
  /** Why nobody can open it any more. */
  disabledReason: text.optional(),
});
export type DeviceReport = z.infer<typeof deviceReport>;

/** One dma-buf, as the kernel's bufinfo (Documentation/driver-api/dma-buf.rst, debugfs) shows it. */
const dmaBufReport = z.object({
  /** Index of the device whose memory it is. */
  device: count,
  exporter: text,
  name: text.optional(),
  size: count,
  /** Of its file: descriptors, importers, calls under way. */
  references: count,
  state: text,
  pins: count,
  attachments: z
    .array(
      z.object({
        importer: text,
        /** For whom the importer works. */
        holder: userProcess.optional(),
        kind: text,
        state: text,
        revocable: z.boolean(),
      }),
    )
    .max(DMA_BUF_USERS_REPORTED_MAX),
  attachmentsOmitted: count,
  /** Not signalled yet, by what they stand for (`enum dma_resv_usage`). */
  fences: z.record(id, count),
  descriptors: z
    .array(z.object({ ...userProcess.shape, fd: count }))
    .max(DMA_BUF_USERS_REPORTED_MAX),
  descriptorsOmitted: count,
});
export type DmaBufReport = z.infer<typeof dmaBufReport>;

const hostReport = {
  requestId: count,
  devices: z.array(deviceReport),
  dmaBufs: z.array(dmaBufReport).max(DMA_BUFS_REPORTED_MAX),
  dmaBufsOmitted: count,
};

/** Which host, for people and for `--host`. */
const hostName = z.object({ index: count, hostname: text });

/** How are your devices? From a client about all hosts; from the coordinator to each of them. */
export const deviceStatus = z.object({ type: z.literal('HLCP_DEVICE_STATUS'), requestId: count });
/** A host's answer. */
export const hostDeviceReport = z.object({ type: z.literal('HLCP_DEVICE_REPORT'), ...hostReport });
/** The same, with the host that it came from. */
export const clientDeviceReport = z.object({
  type: z.literal('HLCP_DEVICE_REPORT'),
  host: hostName,
  ...hostReport,
});
/** Every host has answered, or will not: those are in `failures`. */
export const deviceStatusDone = z.object({
  type: z.literal('HLCP_DEVICE_STATUS_DONE'),
  requestId: count,
  failures: z.array(z.object({ host: hostName, failure })),
});
export type HostFailure = z.infer<typeof deviceStatusDone>['failures'][number];

/** Longest grace, and most trials after the first, that a client may ask for. */
export const EVICT_GRACE_MS_MAX = 60_000;
export const EVICT_RETRIES_MAX = 100;

/**
 * Free the device: end whoever keeps it busy, in order, `retries` more times if it does not help at
 * once. From a client, and on to the host.
 */
export const evict = z.object({
  type: z.literal('HLCP_EVICT'),
  requestId: count,
  /** Index of the host in the world. */
  host: count,
  device: count,
  /** From SIGTERM to SIGKILL. */
  graceMs: count.max(EVICT_GRACE_MS_MAX),
  retries: count.max(EVICT_RETRIES_MAX),
});
export type Evict = z.infer<typeof evict>;

/** One thing that the host did or found. */
const step = z.object({
  /** From 1. */
  trial: count,
  action: z.enum(['found', 'signalled', 'ended', 'survived', 'checked', 'disabled', 'joined']),
  /** The process that it is about, and why it is one of those to end. */
  process: userProcess
    .extend({ how: z.enum(['opener', 'importer', 'descriptor']), what: text })
    .optional(),
  signal: z.enum(['SIGTERM', 'SIGKILL']).optional(),
  /** State of the device after it. */
  status: id,
  /** The same in a sentence. */
  text,
});
export type EvictStep = z.infer<typeof step>;

export const evictStep = z.object({
  type: z.literal('HLCP_EVICT_STEP'),
  requestId: count,
  step,
});
/** The eviction has ended. `failure` is there unless the device is free. */
export const evictDone = z.object({
  type: z.literal('HLCP_EVICT_DONE'),
  requestId: count,
  outcome: z.enum(['free', 'disabled', 'failed']),
  failure: failure.optional(),
});
export type EvictOutcome = z.infer<typeof evictDone>['outcome'];
