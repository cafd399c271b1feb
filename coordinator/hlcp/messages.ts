/**
 * HLCP, the control protocol: every message between a host, a command-line client and the
 * coordinator. Named after HCL's own control protocol (hlcp_commands.h) where a counterpart exists.
 * Messages are MessagePack maps, one per WebSocket message; `docs/control-protocol.md` lists them.
 *
 * To add a message: a schema here (about devices: `device-messages.ts`, traces: `trace-messages.ts`), its direction in one of the
 * unions below, its handling in `coordinator/`, its row in the document (a test compares).
 */
import { z } from 'zod';
import {
  clientDeviceReport,
  deviceStatus,
  deviceStatusDone,
  evict,
  evictDone,
  evictStep,
  hostDeviceReport,
} from './device-messages.ts';
import {
  clientTraceChunk,
  clientTraceEnd,
  clientTraceStarted,
  clockAnswer,
  clockAsk,
  hostTraceChunk,
  hostTraceEnd,
  hostTraceStarted,
  traceDone,
  traceStart,
  traceStop,
} from './trace-messages.ts';

/** Both ends must speak the same version; anything else is refused with HLSIM_PROTOCOL_VERSION. */
export const HLCP_VERSION = 3;
/** Longest message either side accepts. */
export const HLCP_MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Hosts and clients send a heartbeat this often; the coordinator answers each. */
export const HEARTBEAT_INTERVAL_MS = 500;
/** A host silent for this long is declared dead. How long a coordinator may be: `heartbeat.ts`. */
export const HEARTBEAT_TIMEOUT_MS = 2_500;

const count = z.int().nonnegative();
const positive = z.int().positive();
const id = z.string().min(1).max(128);
const text = z.string();
/** Longest name of an endpoint, fi_getname(3). */
export const ENDPOINT_BYTES_MAX = 512;
/** A copy: what the codec hands over is a view of the received message. */
const endpointName = z
  .instanceof(Uint8Array)
  .refine((view) => view.byteLength <= ENDPOINT_BYTES_MAX, {
    error: `Expected at most ${ENDPOINT_BYTES_MAX} bytes`,
  })
  .transform((view): Uint8Array => new Uint8Array(view));

/** What a failure is called: an `ErrorCode`, and its message. */
const failure = z.object({ code: id, message: text });
export type Failure = z.infer<typeof failure>;

const linkAddress = z.object({ host: id, port: z.int().min(0).max(65535) });

/** One host as everybody sees it. `index` orders hosts; rank = index * devices + device. */
const hostEntry = z.object({
  index: count,
  nodeId: id,
  hostname: text,
  pid: count,
  devices: positive,
  link: linkAddress,
});
export type HostEntry = z.infer<typeof hostEntry>;

/** What a job runs. `builtin:bench` and `builtin:train` are hlsim's own; else an absolute path. */
const jobSpec = z.object({
  program: text,
  arguments: z.array(text),
  /** Added to the environment of every rank. */
  environment: z.record(z.string(), text),
  /** Programs of an administrator: they may signal any process of their host and reset its devices. */
  privileged: z.boolean().optional(),
});
export type JobSpec = z.infer<typeof jobSpec>;

const jobKey = { jobId: id, attempt: count };
/** A communicator of a job: its unique id, and the epoch that a shrink or re-init raises. */
const commKey = { jobId: id, uniqueId: id, epoch: count };

/** What a rank tells its peers at rendezvous. All of it is opaque to the coordinator but `rank`. */
const commMember = z.object({
  rank: count,
  nodeId: id,
  /** fi_getname(3) of the communicator's endpoint. */
  endpoint: endpointName,
  /** Receive slots: where they start, their key, how many bytes there are in all. */
  slots: z.object({ address: count, rkey: id, bytes: count }),
});
export type CommMember = z.infer<typeof commMember>;

// -- host -> coordinator ------------------------------------------------------------------------

/** Asks to join: who I am, what I have, where peers dial me. First message of a host. */
const rankData = z.object({
  type: z.literal('HLCP_RANK_DATA'),
  version: count,
  nodeId: id,
  hostname: text,
  pid: count,
  devices: positive,
  hbmBytes: positive,
  link: linkAddress,
});
const heartbeat = z.object({ type: z.literal('HLCP_HEARTBEAT'), sequence: count });
/** A rank joins a communicator's rendezvous. */
const commData = z.object({
  type: z.literal('HLCP_COMM_DATA'),
  ...commKey,
  nranks: positive,
  member: commMember,
});
/** A rank found that its communicator is broken; the coordinator tells every member. */
const commError = z.object({
  type: z.literal('HLCP_COMM_ERROR'),
  ...commKey,
  rank: count,
  failure,
});
/** A rank enters barrier number `sequence` of the job. Done when all `nranks` have. */
const sync = z.object({
  type: z.literal('HLCP_SYNC'),
  jobId: id,
  sequence: count,
  rank: count,
});
/** The job's key-value store. Keys live as long as the job. */
const storeSet = z.object({
  type: z.literal('HLCP_STORE_SET'),
  jobId: id,
  key: id,
  value: text,
});
/** Asks for a key; answered when somebody has set it. `requestId` is the host's. */
const storeGet = z.object({
  type: z.literal('HLCP_STORE_GET'),
  jobId: id,
  key: id,
  requestId: count,
});
/** Text that a rank's program printed. */
const jobOutput = z.object({
  type: z.literal('HLCP_JOB_OUTPUT'),
  jobId: id,
  rank: count,
  stream: z.enum(['stdout', 'stderr']),
  text,
});
/** A structured result or progress report of a rank's program: `json` is a JSON text. */
const jobReport = z.object({
  type: z.literal('HLCP_JOB_REPORT'),
  jobId: id,
  rank: count,
  json: text,
});
/** A rank's program ended. `failure` says why when the code is not 0. */
const rankExit = z.object({
  type: z.literal('HLCP_RANK_EXIT'),
  jobId: id,
  rank: count,
  exitCode: z.int(),
  failure: failure.optional(),
});

// -- coordinator -> host ------------------------------------------------------------------------

/** You are in; others are still missing. */
const accepted = z.object({ type: z.literal('HLCP_ACCEPTED'), expectedHosts: positive });
/** The world is complete (or complete again). Hosts in rank order. */
const world = z.object({
  type: z.literal('HLCP_WORLD'),
  epoch: count,
  hosts: z.array(hostEntry),
});
const heartbeatAck = z.object({ type: z.literal('HLCP_HEARTBEAT_ACK'), sequence: count });
/** Start the job's program on each of your devices. */
const jobStart = z.object({
  type: z.literal('HLCP_JOB_START'),
  ...jobKey,
  spec: jobSpec,
  nranks: positive,
});
/** End the job's programs on this host, now. */
const jobStop = z.object({ type: z.literal('HLCP_JOB_STOP'), jobId: id, reason: text });
/** Every rank has joined: members in rank order. */
const commReady = z.object({
  type: z.literal('HLCP_COMM_READY'),
  ...commKey,
  members: z.array(commMember),
});
/** The communicator is broken: by a rank's report, or ranks that could not agree at rendezvous. */
const commFailed = z.object({ type: z.literal('HLCP_COMM_FAILED'), ...commKey, failure });
const syncDone = z.object({ type: z.literal('HLCP_SYNC_DONE'), jobId: id, sequence: count });
const storeValue = z.object({
  type: z.literal('HLCP_STORE_VALUE'),
  jobId: id,
  requestId: count,
  value: text,
});
/** The coordinator's verdict: this host is dead, and with it these ranks. */
const hostLost = z.object({
  type: z.literal('HLCP_HOST_LOST'),
  epoch: count,
  nodeId: id,
  hostname: text,
  ranks: z.array(count),
  reason: text,
});
/** End yourself: the cluster is being taken down. */
const shutdown = z.object({ type: z.literal('HLCP_SHUTDOWN'), reason: text });

// -- client <-> coordinator ---------------------------------------------------------------------

/** First message of a command-line client. */
const clientHello = z.object({ type: z.literal('HLCP_CLIENT_HELLO'), version: count });
const clientWelcome = z.object({
  type: z.literal('HLCP_CLIENT_WELCOME'),
  expectedHosts: positive,
});
/** Runs a job as soon as the world is complete; at most `joinTimeoutMs` from now. */
const jobSubmit = z.object({
  type: z.literal('HLCP_JOB_SUBMIT'),
  spec: jobSpec,
  /** The world the client wants; another size is refused. Absent: whatever the cluster has. */
  hosts: positive.optional(),
  joinTimeoutMs: positive,
});
const jobCancel = z.object({ type: z.literal('HLCP_JOB_CANCEL'), jobId: id });
const jobAccepted = z.object({
  type: z.literal('HLCP_JOB_ACCEPTED'),
  ...jobKey,
  hosts: z.array(hostEntry),
});
/** The job has ended on every rank. `failure` is there when `exitCode` is not 0. */
const jobDone = z.object({
  type: z.literal('HLCP_JOB_DONE'),
  jobId: id,
  exitCode: z.int(),
  failure: failure.optional(),
});
/** Takes the whole cluster down: every host, then the coordinator. */
const clusterShutdown = z.object({ type: z.literal('HLCP_CLUSTER_SHUTDOWN') });
/** The peer's last message was refused; the connection is closed after it. */
const refused = z.object({ type: z.literal('HLCP_REFUSED'), failure });

export const hostToCoordinator = z.discriminatedUnion('type', [
  rankData,
  heartbeat,
  commData,
  commError,
  sync,
  storeSet,
  storeGet,
  jobOutput,
  jobReport,
  rankExit,
  hostDeviceReport,
  evictStep,
  evictDone,
  clockAsk,
  hostTraceStarted,
  hostTraceChunk,
  hostTraceEnd,
]);
export const coordinatorToHost = z.discriminatedUnion('type', [
  accepted,
  world,
  heartbeatAck,
  jobStart,
  jobStop,
  commReady,
  commFailed,
  syncDone,
  storeValue,
  deviceStatus,
  evict,
  clockAnswer,
  traceStart,
  traceStop,
  hostLost,
  shutdown,
  refused,
]);
export const clientToCoordinator = z.discriminatedUnion('type', [
  clientHello,
  heartbeat,
  jobSubmit,
  jobCancel,
  deviceStatus,
  evict,
  traceStart,
  traceStop,
  clusterShutdown,
]);
/** `HLCP_JOB_OUTPUT` and `HLCP_JOB_REPORT` are passed on as the hosts sent them. */
export const coordinatorToClient = z.discriminatedUnion('type', [
  clientWelcome,
  heartbeatAck,
  jobAccepted,
  jobOutput,
  jobReport,
  jobDone,
  clientDeviceReport,
  deviceStatusDone,
  evictStep,
  evictDone,
  clientTraceStarted,
  clientTraceChunk,
  clientTraceEnd,
  traceDone,
  hostLost,
  shutdown,
  refused,
]);

export type HostToCoordinator = z.infer<typeof hostToCoordinator>;
export type CoordinatorToHost = z.infer<typeof coordinatorToHost>;
export type ClientToCoordinator = z.infer<typeof clientToCoordinator>;
export type CoordinatorToClient = z.infer<typeof coordinatorToClient>;
