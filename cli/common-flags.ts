/** The flags that several commands share, each defined once. */
import { MiB } from '../common/bytes.ts';
import { DRAM_PAGE_BYTES, MEMORY_PAGES_MAX } from '../node/device/hbm.ts';
import { DEVICE_LIMITS } from '../node/device/limits.ts';
import { OWNERSHIP_DEFAULT, OWNERSHIP_POLICIES } from '../node/device/ownership.ts';
import { LINK_CHOICES, type LinkChoice } from '../node/transport/transport.ts';
import { optional, toggle, withDefault } from './flags.ts';
import { coordinatorUrl, duration, integer, oneOf, size, text } from './readers.ts';

export const HOSTS_MAX = 256;
export const DEVICES_MAX = 64;
/** Where a coordinator listens unless told otherwise. */
export const COORDINATOR_PORT_DEFAULT = 7700;

const hostCount = {
  name: 'hosts',
  value: '<n>',
  reader: integer(1, HOSTS_MAX),
} as const;

/** For commands that may join a cluster, where the number follows from the cluster. */
export const hostsFlag = optional({
  ...hostCount,
  description: 'host processes; with --coordinator, the number that the cluster must have',
});

export const hostsWithDefault = withDefault('4', { ...hostCount, description: 'host processes' });

const DEVICES_DEFAULT = '1';
const HBM_DEFAULT = '256M';

const deviceCount = {
  name: 'devices',
  value: '<n>',
  description: 'devices of each host; a rank is a device',
  reader: integer(1, DEVICES_MAX),
} as const;

/** The first page of a device's memory is no HBM. */
const HBM_BYTES_MAX = (MEMORY_PAGES_MAX - 1) * DRAM_PAGE_BYTES;

const hbmSize = {
  name: 'hbm',
  value: '<size>',
  description: 'HBM of each device',
  reader: size(MiB, { max: HBM_BYTES_MAX, multipleOf: DRAM_PAGE_BYTES }),
} as const;

const ownershipPolicy = {
  name: 'ownership',
  value: '<policy>',
  description: `whose device memory is while others have imported it: ${OWNERSHIP_POLICIES.join(', ')}`,
  reader: oneOf(OWNERSHIP_POLICIES),
} as const;

export const ownershipFlag = withDefault(OWNERSHIP_DEFAULT, ownershipPolicy);
/** `fallback`: which policy holds where none is given, for people. */
export const optionalOwnershipFlag = (fallback: string) =>
  optional({
    ...ownershipPolicy,
    description: `${ownershipPolicy.description}; ${fallback} unless given`,
  });
const LINK_TRANSPORT_DEFAULT: LinkChoice = 'auto';

const linkTransport = {
  name: 'transport',
  value: '<kind>',
  description:
    'what links between hosts run over: tcp; unix, where both are on one machine; auto, unix where it can be had',
  reader: oneOf(LINK_CHOICES),
} as const;

export const transportFlag = withDefault(LINK_TRANSPORT_DEFAULT, linkTransport);
export const devicesFlag = withDefault(DEVICES_DEFAULT, deviceCount);
export const hbmFlag = withDefault(HBM_DEFAULT, hbmSize);

export const coordinatorFlag = optional({
  name: 'coordinator',
  value: '<url>',
  description: 'join the cluster of this coordinator instead of starting one',
  reader: coordinatorUrl,
});

export const tokenFlag = optional({
  name: 'token',
  value: '<text>',
  description: 'secret of the cluster; the same in every part of it',
  reader: text('a text that is not empty'),
});

export const joinTimeoutFlag = withDefault('30s', {
  name: 'join-timeout',
  value: '<time>',
  description: 'how long to wait for the coordinator and for every host',
  reader: duration,
});

export const logLevelFlag = optional({
  name: 'log-level',
  value: '<level>',
  description: "show the daemons' logs on stderr, from this level on",
  reader: oneOf(['debug', 'info', 'warn', 'error', 'silent']),
});

export const daemonLogLevelFlag = withDefault('info', {
  name: 'log-level',
  value: '<level>',
  description: 'what to log on stderr, from this level on',
  reader: oneOf(['debug', 'info', 'warn', 'error', 'silent']),
});

/** How patient a hard reset is with the users of a device. */
export const resetFlags = {
  resetGrace: withDefault(`${DEVICE_LIMITS.resetGraceMs}ms`, {
    name: 'reset-grace',
    value: '<time>',
    description: 'hard reset: how long users of a device may take to leave by themselves',
    reader: duration,
  }),
  resetWait: withDefault(`${DEVICE_LIMITS.resetWaitMs}ms`, {
    name: 'reset-wait',
    value: '<time>',
    description: 'hard reset: how long killed users may take to be gone',
    reader: duration,
  }),
  resetTrials: withDefault(String(DEVICE_LIMITS.resetTrials), {
    name: 'reset-trials',
    value: '<n>',
    description: 'hard reset: kills and waits before the device is disabled',
    reader: integer(1, 1_000),
  }),
} as const;

export const exitWithParentFlag = toggle({
  name: 'exit-with-parent',
  description: 'end when standard input ends: the launcher is gone',
});

export const awaitGoFlag = toggle({
  name: 'await-go',
  description: 'start at the line go on standard input; end with it until the line stay',
});

export const jsonFileFlag = optional({
  name: 'json',
  value: '<file>',
  description: 'write the results to this file as JSON',
  reader: text('a file name'),
});

/** The hosts of a temporary cluster, where nothing else is said. */
export const HOST_DEFAULTS = {
  devices: Number(DEVICES_DEFAULT),
  hbmBytes: 256 * MiB,
  ownership: OWNERSHIP_DEFAULT,
  linkTransport: LINK_TRANSPORT_DEFAULT,
} as const;

/** What every command needs that runs a job on a cluster, its own or a running one. */
export const clusterFlags = {
  hosts: hostsFlag,
  // Without a default here: a running cluster has its own, and to ask for others is an error.
  devices: optional({
    ...deviceCount,
    description: `${deviceCount.description}; ${DEVICES_DEFAULT} unless given`,
  }),
  hbm: optional({ ...hbmSize, description: `${hbmSize.description}; ${HBM_DEFAULT} unless given` }),
  ownership: optionalOwnershipFlag(OWNERSHIP_DEFAULT),
  transport: optional({
    ...linkTransport,
    description: `${linkTransport.description}; ${LINK_TRANSPORT_DEFAULT} unless given`,
  }),
  coordinator: coordinatorFlag,
  token: tokenFlag,
  joinTimeout: joinTimeoutFlag,
  logLevel: logLevelFlag,
} as const;
