/** A job's cluster: the one that `--coordinator` names, or one started for this command alone. */
import { defined } from '../common/assert.ts';
import { HlsimError } from '../common/errors.ts';
import { errorOf } from '../coordinator/hlcp/refusal.ts';
import { type clusterFlags, HOST_DEFAULTS } from './common-flags.ts';
import type { CommandContext } from './context.ts';
import { type FlagValues, usageError } from './flags.ts';
import { unlessAborted } from './interruption.ts';
import { ClusterClient, type JobListener, type JobOutcome, type JobRequest } from './job-client.ts';
import { TemporaryCluster } from './temporary-cluster.ts';

export type ClusterFlagValues = FlagValues<typeof clusterFlags>;

/** Flags that say how a cluster is to be made. */
const SHAPE_FLAGS = ['devices', 'hbm', 'ownership', 'transport'] as const;

/**
 * The wrong combinations of flags that say which cluster to use.
 *
 * @throws HlsimError `HLSIM_USAGE`
 */
export function checkClusterFlags(flags: ClusterFlagValues): void {
  const { coordinator, hosts } = flags;
  if (coordinator === undefined && hosts === undefined) {
    throw usageError(
      'Expected --hosts <n> (how many hosts to start) or --coordinator <url> (which cluster to join) but found neither',
    );
  }
  const shape = SHAPE_FLAGS.find((name) => flags[name] !== undefined);
  if (coordinator !== undefined && shape !== undefined) {
    throw usageError(
      `Expected --coordinator without --${shape}, which the hosts of a running cluster have already, but found both`,
    );
  }
}

/**
 * Connects, hands the client to `body`, and leaves the cluster as it was: running, or not there.
 *
 * @throws HlsimError `HLSIM_USAGE` without a coordinator and without a number of hosts
 */
export async function withCluster<T>(
  flags: ClusterFlagValues,
  context: CommandContext,
  body: (client: ClusterClient) => Promise<T>,
): Promise<T> {
  checkClusterFlags(flags);
  const { coordinator, hosts, token, logLevel, joinTimeout: joinTimeoutMs } = flags;
  if (coordinator !== undefined) {
    return withRunningCluster({ url: coordinator, token, joinTimeoutMs }, context, body);
  }
  const options = {
    hosts: defined(hosts, '--hosts'),
    devices: flags.devices ?? HOST_DEFAULTS.devices,
    hbmBytes: flags.hbm ?? HOST_DEFAULTS.hbmBytes,
    ownership: flags.ownership ?? HOST_DEFAULTS.ownership,
    linkTransport: flags.transport ?? HOST_DEFAULTS.linkTransport,
    token,
    logLevel,
    joinTimeoutMs,
  };
  return TemporaryCluster.use(options, context, body);
}

/** Connects to a cluster that stays, hands the client to `body`, and disconnects. */
export async function withRunningCluster<T>(
  options: {
    readonly url: string;
    readonly token: string | undefined;
    readonly joinTimeoutMs: number;
  },
  { interruption, scheduler }: CommandContext,
  body: (client: ClusterClient) => Promise<T>,
): Promise<T> {
  const { url, token, joinTimeoutMs } = options;
  const connecting = ClusterClient.connect({ url, token, deadlineMs: joinTimeoutMs, scheduler });
  const client = await unlessAborted(interruption.signal, connecting);
  try {
    return await body(client);
  } finally {
    client.close();
  }
}

/** Runs a job whose hosts' deaths are told as they happen. */
export function runJob(
  client: ClusterClient,
  request: JobRequest,
  listener: JobListener,
  { interruption, terminal }: CommandContext,
): Promise<JobOutcome> {
  const told: JobListener = {
    hostLost: (sentence) => terminal.note(`hlsim: ${sentence}`),
    ...listener,
  };
  return client.runJob(request, told, interruption.signal);
}

/** Why a job failed, as an error; `undefined` if it did not. */
export function failureOfJob(outcome: JobOutcome): HlsimError | undefined {
  if (outcome.failure !== undefined) return errorOf(outcome.failure);
  if (outcome.exitCode === 0) return undefined;
  return new HlsimError('HLSIM_JOB_FAILED', `The job ended with exit code ${outcome.exitCode}`);
}
