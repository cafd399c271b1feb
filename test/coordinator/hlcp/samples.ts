/** One valid message of every type and direction; the tests of codec and document walk over them. */
import {
  type ClientToCoordinator,
  type CoordinatorToClient,
  type CoordinatorToHost,
  HLCP_VERSION,
  type HostToCoordinator,
} from '../../../coordinator/hlcp/messages.ts';

type ByType<Message extends { readonly type: string }> = {
  readonly [Type in Message['type']]: Extract<Message, { type: Type }>;
};

const failure = { code: 'HLSIM_RENDEZVOUS', message: 'Expected 2 ranks but found 1' };
const comm = { jobId: 'j1', uniqueId: 'u1', epoch: 3 };
const member = {
  rank: 1,
  nodeId: 'n1',
  endpoint: Uint8Array.of(1, 2, 255),
  slots: { address: 2 ** 40, rkey: '9007199254740993', bytes: 65_536 },
};
const link = { host: '10.0.0.7', port: 40_001 };
const host = { index: 0, nodeId: 'n1', hostname: 'box', pid: 12, devices: 2, link };
const spec = {
  program: '/home/me/training.js',
  arguments: ['--epochs', '3', ''],
  environment: { LANG: 'de_DE.UTF-8' },
  privileged: true,
};
const output = {
  type: 'HLCP_JOB_OUTPUT',
  jobId: 'j1',
  rank: 1,
  stream: 'stderr',
  text: 'größer 🙂\n',
} as const;
const report = { type: 'HLCP_JOB_REPORT', jobId: 'j1', rank: 0, json: '{"loss":0.5}' } as const;
const hostLost = {
  type: 'HLCP_HOST_LOST',
  epoch: 1,
  nodeId: 'n2',
  hostname: 'box2',
  ranks: [2, 3],
  reason: 'silent',
} satisfies CoordinatorToHost;
const userProcess = { pid: 104, containerId: 'j1-1' };
const device = {
  index: 1,
  asic: 'gaudi2',
  pciBusId: '0000:19:00.0',
  status: 'MALFUNCTION',
  use: 'releasing',
  ownership: 'owner-2021',
  owner: null,
  openers: [userProcess],
  hbmBytes: 2 ** 35,
  hbmUsedBytes: 65_536,
  allocations: 1,
  mappings: 2,
  exportedDmaBufs: 3,
  memoryRegions: 4,
  resets: { hard: 5, soft: 0 },
  disabledReason: 'nobody let it go',
};
const dmaBuf = {
  device: 1,
  exporter: 'habanalabs',
  name: 'gradients',
  size: 65_536,
  references: 2,
  state: 'live',
  pins: 1,
  attachments: [
    { importer: 'nic', holder: userProcess, kind: 'dynamic', state: 'mapped', revocable: true },
    { importer: 'nic', kind: 'static', state: 'attached', revocable: false },
  ],
  attachmentsOmitted: 1,
  fences: { KERNEL: 0, WRITE: 1, READ: 0, BOOKKEEP: 2 },
  descriptors: [{ ...userProcess, fd: 0 }],
  descriptorsOmitted: 2,
};
const deviceReport = {
  type: 'HLCP_DEVICE_REPORT',
  requestId: 9,
  devices: [{ ...device, index: 0, owner: userProcess }, device],
  dmaBufs: [dmaBuf],
  dmaBufsOmitted: 7,
} satisfies HostToCoordinator;
const deviceStatus = { type: 'HLCP_DEVICE_STATUS', requestId: 9 } as const;
const evict = {
  type: 'HLCP_EVICT',
  requestId: 9,
  host: 1,
  device: 7,
  graceMs: 0,
  retries: 3,
} satisfies ClientToCoordinator;
const evictStep = {
  type: 'HLCP_EVICT_STEP',
  requestId: 9,
  step: {
    trial: 1,
    action: 'signalled',
    process: { ...userProcess, how: 'importer', what: '2 memory regions' },
    signal: 'SIGTERM',
    status: 'OPERATIONAL',
    text: 'SIGTERM to pid 104',
  },
} satisfies HostToCoordinator;
const evictDone = {
  type: 'HLCP_EVICT_DONE',
  requestId: 9,
  outcome: 'disabled',
  failure,
} satisfies HostToCoordinator;
const clockReading = { atMs: 12.5, offsetMs: -3.25, uncertaintyMs: 0.125 };
const traceStart = {
  type: 'HLCP_TRACE_START',
  requestId: 3,
  eventsMax: 1000,
  firstCall: 1,
  lastCall: 9,
  every: 2,
} satisfies ClientToCoordinator;
const traceStop = { type: 'HLCP_TRACE_STOP', requestId: 3 } as const;
const traceChunk = {
  type: 'HLCP_TRACE_CHUNK',
  requestId: 3,
  events: '[]',
} satisfies HostToCoordinator;
const traceEnd = {
  type: 'HLCP_TRACE_END',
  requestId: 3,
  clock: { rendezvous: clockReading, begin: clockReading, end: clockReading },
  dropped: 4,
  remarks: ['Rank 1 is missing'],
} satisfies HostToCoordinator;
const tracedHost = { host: { index: 0, hostname: 'box' } };
const traceFailures = [{ host: { index: 1, hostname: 'box2' }, failure }];
const shutdown = { type: 'HLCP_SHUTDOWN', reason: 'asked' } as const;
const refused = { type: 'HLCP_REFUSED', failure } as const;

export const HOST_MESSAGES: ByType<HostToCoordinator> = {
  HLCP_RANK_DATA: {
    type: 'HLCP_RANK_DATA',
    version: HLCP_VERSION,
    nodeId: 'n1',
    hostname: 'box',
    pid: 12,
    devices: 2,
    hbmBytes: 2 ** 35,
    link,
  },
  HLCP_HEARTBEAT: { type: 'HLCP_HEARTBEAT', sequence: 7 },
  HLCP_COMM_DATA: { type: 'HLCP_COMM_DATA', ...comm, nranks: 2, member },
  HLCP_COMM_ERROR: { type: 'HLCP_COMM_ERROR', ...comm, rank: 1, failure },
  HLCP_SYNC: { type: 'HLCP_SYNC', jobId: 'j1', sequence: 0, rank: 1 },
  HLCP_STORE_SET: { type: 'HLCP_STORE_SET', jobId: 'j1', key: 'k', value: '' },
  HLCP_STORE_GET: { type: 'HLCP_STORE_GET', jobId: 'j1', key: 'k', requestId: 4 },
  HLCP_JOB_OUTPUT: output,
  HLCP_JOB_REPORT: report,
  HLCP_RANK_EXIT: { type: 'HLCP_RANK_EXIT', jobId: 'j1', rank: 1, exitCode: -1, failure },
  HLCP_DEVICE_REPORT: deviceReport,
  HLCP_EVICT_STEP: evictStep,
  HLCP_EVICT_DONE: evictDone,
  HLCP_CLOCK_ASK: { type: 'HLCP_CLOCK_ASK', sequence: 2 },
  HLCP_TRACE_STARTED: { type: 'HLCP_TRACE_STARTED', requestId: 3, failure },
  HLCP_TRACE_CHUNK: traceChunk,
  HLCP_TRACE_END: traceEnd,
};

export const TO_HOST_MESSAGES: ByType<CoordinatorToHost> = {
  HLCP_ACCEPTED: { type: 'HLCP_ACCEPTED', expectedHosts: 4 },
  HLCP_WORLD: { type: 'HLCP_WORLD', epoch: 1, hosts: [host, { ...host, index: 1, nodeId: 'n2' }] },
  HLCP_HEARTBEAT_ACK: { type: 'HLCP_HEARTBEAT_ACK', sequence: 7 },
  HLCP_JOB_START: { type: 'HLCP_JOB_START', jobId: 'j1', attempt: 0, spec, nranks: 4 },
  HLCP_JOB_STOP: { type: 'HLCP_JOB_STOP', jobId: 'j1', reason: 'rank 1 failed' },
  HLCP_COMM_READY: { type: 'HLCP_COMM_READY', ...comm, members: [{ ...member, rank: 0 }, member] },
  HLCP_COMM_FAILED: { type: 'HLCP_COMM_FAILED', ...comm, failure },
  HLCP_SYNC_DONE: { type: 'HLCP_SYNC_DONE', jobId: 'j1', sequence: 0 },
  HLCP_STORE_VALUE: { type: 'HLCP_STORE_VALUE', jobId: 'j1', requestId: 4, value: 'v' },
  HLCP_DEVICE_STATUS: deviceStatus,
  HLCP_EVICT: evict,
  HLCP_CLOCK_ANSWER: { type: 'HLCP_CLOCK_ANSWER', sequence: 2, atMs: 1.5 },
  HLCP_TRACE_START: traceStart,
  HLCP_TRACE_STOP: traceStop,
  HLCP_HOST_LOST: hostLost,
  HLCP_SHUTDOWN: shutdown,
  HLCP_REFUSED: refused,
};

export const CLIENT_MESSAGES: ByType<ClientToCoordinator> = {
  HLCP_CLIENT_HELLO: { type: 'HLCP_CLIENT_HELLO', version: HLCP_VERSION },
  HLCP_HEARTBEAT: { type: 'HLCP_HEARTBEAT', sequence: 7 },
  HLCP_JOB_SUBMIT: { type: 'HLCP_JOB_SUBMIT', spec, hosts: 4, joinTimeoutMs: 30_000 },
  HLCP_JOB_CANCEL: { type: 'HLCP_JOB_CANCEL', jobId: 'j1' },
  HLCP_DEVICE_STATUS: deviceStatus,
  HLCP_EVICT: evict,
  HLCP_TRACE_START: traceStart,
  HLCP_TRACE_STOP: traceStop,
  HLCP_CLUSTER_SHUTDOWN: { type: 'HLCP_CLUSTER_SHUTDOWN' },
};

export const TO_CLIENT_MESSAGES: ByType<CoordinatorToClient> = {
  HLCP_CLIENT_WELCOME: { type: 'HLCP_CLIENT_WELCOME', expectedHosts: 4 },
  HLCP_HEARTBEAT_ACK: { type: 'HLCP_HEARTBEAT_ACK', sequence: 7 },
  HLCP_JOB_ACCEPTED: { type: 'HLCP_JOB_ACCEPTED', jobId: 'j1', attempt: 0, hosts: [host] },
  HLCP_JOB_OUTPUT: output,
  HLCP_JOB_REPORT: report,
  HLCP_JOB_DONE: { type: 'HLCP_JOB_DONE', jobId: 'j1', exitCode: 3, failure },
  HLCP_DEVICE_REPORT: { ...deviceReport, host: { index: 0, hostname: 'box' } },
  HLCP_DEVICE_STATUS_DONE: {
    type: 'HLCP_DEVICE_STATUS_DONE',
    requestId: 9,
    failures: [{ host: { index: 1, hostname: 'box2' }, failure }],
  },
  HLCP_EVICT_STEP: evictStep,
  HLCP_EVICT_DONE: evictDone,
  HLCP_TRACE_STARTED: { type: 'HLCP_TRACE_STARTED', requestId: 3, failures: traceFailures },
  HLCP_TRACE_CHUNK: { ...traceChunk, ...tracedHost },
  HLCP_TRACE_END: { ...traceEnd, ...tracedHost },
  HLCP_TRACE_DONE: { type: 'HLCP_TRACE_DONE', requestId: 3, failures: traceFailures },
  HLCP_HOST_LOST: hostLost,
  HLCP_SHUTDOWN: shutdown,
  HLCP_REFUSED: refused,
};
