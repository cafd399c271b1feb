/** Which cluster a command asks that starts none: the one of `--coordinator`, or that of `hlsim up`. */
import { HlsimError } from '../common/errors.ts';
import { ClusterFile, readCluster, stateDirectory, stateDirFlag } from './cluster-file.ts';
import { withRunningCluster } from './cluster-session.ts';
import { tokenFlag } from './common-flags.ts';
import type { CommandContext } from './context.ts';
import { type FlagValues, optional } from './flags.ts';
import type { ClusterClient } from './job-client.ts';
import { coordinatorUrl } from './readers.ts';

/** A cluster that is up answers at once, or not at all. */
const CONNECT_DEADLINE_MS = 5_000;

export const runningClusterFlags = {
  coordinator: optional({
    name: 'coordinator',
    value: '<url>',
    description: 'the coordinator to ask, instead of the one that hlsim up has started',
    reader: coordinatorUrl,
  }),
  token: tokenFlag,
  stateDir: stateDirFlag,
} as const;

/**
 * Connects, hands the client to `body`, and disconnects.
 *
 * @throws HlsimError `HLSIM_CLUSTER_ABSENT`, `HLSIM_COORDINATOR_UNREACHABLE`, `HLSIM_TOKEN_REFUSED`
 */
export function askCluster<T>(
  flags: FlagValues<typeof runningClusterFlags>,
  context: CommandContext,
  body: (client: ClusterClient) => Promise<T>,
): Promise<T> {
  const { url, token } = addressOf(flags);
  const options = { url, token, joinTimeoutMs: CONNECT_DEADLINE_MS };
  return withRunningCluster(options, context, body);
}

function addressOf({ coordinator, token, stateDir }: FlagValues<typeof runningClusterFlags>): {
  readonly url: string;
  readonly token: string | undefined;
} {
  if (coordinator !== undefined) return { url: coordinator, token };
  const file = new ClusterFile(stateDirectory(stateDir));
  const record = readCluster(file);
  if (record.url !== undefined) return { url: record.url, token: record.token };
  throw new HlsimError(
    'HLSIM_CLUSTER_ABSENT',
    `Expected a cluster that is up under ${file.directory} but found one that is starting: wait until hlsim up has ended`,
  );
}
