/** `hlsim up`: a cluster that stays until `hlsim down`. */
import process from 'node:process';
import { Command } from 'commander';
import { nanoid } from 'nanoid';
import { defined } from '../../common/assert.ts';
import { environmentCopy } from '../../common/environment.ts';
import { HlsimError } from '../../common/errors.ts';
import { BackgroundDaemon } from '../background-daemon.ts';
import {
  ClusterFile,
  type ClusterRecord,
  COORDINATOR_NAME,
  hostName,
  isLive,
  stateDirectory,
  stateDirFlag,
} from '../cluster-file.ts';
import {
  daemonLogLevelFlag,
  devicesFlag,
  hbmFlag,
  hostsWithDefault,
  joinTimeoutFlag,
  ownershipFlag,
  tokenFlag,
  transportFlag,
} from '../common-flags.ts';
import type { CommandContext } from '../context.ts';
import { coordinatorArguments, nodeArguments } from '../daemon-arguments.ts';
import { readyUrl } from '../daemon-words.ts';
import { addFlags, type FlagValues, readFlags, withDefault } from '../flags.ts';
import { warnOfOwnership } from '../ownership-warning.ts';
import { identityOf } from '../process-identity.ts';
import { integer } from '../readers.ts';
import { terminateDaemons } from '../stop-cluster.ts';
import { COORDINATOR_READY_MS } from '../temporary-cluster.ts';
import type { Terminal } from '../terminal.ts';
import { counted, joinedWords, shellWord, startingWords } from '../wording.ts';

const upFlags = {
  hosts: hostsWithDefault,
  devices: devicesFlag,
  hbm: hbmFlag,
  ownership: ownershipFlag,
  transport: transportFlag,
  port: withDefault('0', {
    name: 'port',
    value: '<n>',
    description: "the coordinator's port; 0 takes any free one",
    reader: integer(0, 65_535),
  }),
  token: tokenFlag,
  joinTimeout: joinTimeoutFlag,
  logLevel: daemonLogLevelFlag,
  stateDir: stateDirFlag,
} as const;

type UpFlagValues = FlagValues<typeof upFlags>;

export function upCommand(context: CommandContext): Command {
  const command = new Command('up').description('Start a cluster that stays, on this machine');
  addFlags(command, upFlags).addHelpText(
    'after',
    `
The record of the cluster, with its token, and the logs are in the state directory.

Examples:
  hlsim up --hosts 4
  hlsim up --hosts 2 --devices 4 --port 7700 --state-dir ./state
  hlsim up --hosts 2 --ownership revoke`,
  );
  return command.action(async () => {
    await up(readFlags(command, upFlags), context);
  });
}

async function up(flags: UpFlagValues, context: CommandContext): Promise<void> {
  const { interruption, scheduler, terminal } = context;
  const file = new ClusterFile(stateDirectory(flags.stateDir));
  const cluster = claim(file, flags);
  const daemons: BackgroundDaemon[] = [];
  try {
    await startDaemons({ flags, cluster, file, daemons, context });
    interruption.signal.throwIfAborted();
  } catch (reason) {
    await terminateDaemons(cluster, scheduler);
    file.remove(cluster);
    throw reason;
  }
  cluster.state = 'up';
  file.update(cluster);
  // The coordinator last: if this process ends in between, the hosts lose it and end too.
  for (const daemon of daemons.toReversed()) await daemon.stay();
  terminal.settle();
  tellHowToUse(cluster, flags.stateDir, terminal);
}

function tellHowToUse(
  { url = '', token, hosts, devices }: ClusterRecord,
  stateDir: string | undefined,
  terminal: Terminal,
): void {
  const are =
    hosts === 1 ? `${counted(devices, 'device')} is` : `${counted(devices, 'device')} each are`;
  terminal.result(
    `${counted(hosts, 'host')} with ${are} up. To use ${hosts === 1 ? 'it' : 'them'}:`,
  );
  terminal.result(`  export HLSIM_COORDINATOR=${shellWord(url)} HLSIM_TOKEN=${shellWord(token)}`);
  const where = stateDir === undefined ? '' : ` --state-dir ${shellWord(stateDir)}`;
  terminal.result(`To end ${hosts === 1 ? 'it' : 'them'}: hlsim down${where}`);
}

/** @throws HlsimError `HLSIM_CLUSTER_EXISTS` if a process of an earlier cluster runs */
function claim(file: ClusterFile, flags: UpFlagValues): ClusterRecord {
  const launcher = defined(identityOf(process.pid), 'this process');
  const { hosts, devices, token = nanoid() } = flags;
  const cluster: ClusterRecord = {
    state: 'starting',
    launcher,
    token,
    hosts,
    devices,
    daemons: [],
  };
  const earlier = file.read();
  if (earlier !== undefined && !isLive(earlier)) file.remove(earlier);
  if (file.claim(cluster)) return cluster;
  throw new HlsimError(
    'HLSIM_CLUSTER_EXISTS',
    `Expected no cluster under ${file.directory} but found one: end it with hlsim down, or name another --state-dir`,
  );
}

interface Start {
  readonly flags: UpFlagValues;
  readonly cluster: ClusterRecord;
  readonly file: ClusterFile;
  /** Filled with what was started. */
  readonly daemons: BackgroundDaemon[];
  readonly context: CommandContext;
}

async function startDaemons(start: Start): Promise<void> {
  const { flags, cluster, file, context } = start;
  const { scheduler, terminal, interruption } = context;
  const { hosts, devices, hbm: hbmBytes, ownership, transport: linkTransport, logLevel } = flags;
  const shared = { logLevel, parent: 'await-go' } as const;
  warnOfOwnership(ownership, terminal);
  terminal.progress(startingWords(hosts));
  const coordinator = startDaemon(
    start,
    COORDINATOR_NAME,
    coordinatorArguments({ ...shared, host: '127.0.0.1', port: flags.port, hosts }),
  );
  cluster.url = readyUrl(
    await coordinator.ready(scheduler, COORDINATOR_READY_MS, interruption.signal),
  );
  file.update(cluster);
  const joinTimeoutMs = flags.joinTimeout;
  const shape = { devices, hbmBytes, ownership, linkTransport };
  const node = { ...shared, ...shape, joinTimeoutMs, coordinator: cluster.url };
  const nodes = Array.from({ length: hosts }, (_, index) =>
    startDaemon(start, hostName(index), nodeArguments({ ...node, bind: '127.0.0.1' })),
  );
  for (const [index, daemon] of nodes.entries()) {
    await daemon.ready(scheduler, flags.joinTimeout, interruption.signal);
    terminal.progress(joinedWords(index + 1, hosts));
  }
}

/** Starts one daemon, which does nothing until it is recorded: whatever happens, `down` finds it. */
function startDaemon(
  { cluster, file, daemons, context }: Start,
  name: string,
  args: readonly string[],
): BackgroundDaemon {
  context.interruption.signal.throwIfAborted();
  const log = file.logOf(name);
  const environment = { ...environmentCopy(), HLSIM_TOKEN: cluster.token };
  const daemon = new BackgroundDaemon({ name, args, environment, log });
  daemons.push(daemon);
  const identity = daemon.identity();
  if (identity !== undefined) cluster.daemons.push({ ...identity, name, log });
  file.update(cluster);
  daemon.go();
  return daemon;
}
