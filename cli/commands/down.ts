/** `hlsim down`: ends the cluster that `hlsim up` started. */
import { Command } from 'commander';
import { environmentVariable } from '../../common/environment.ts';
import { HlsimError } from '../../common/errors.ts';
import {
  ClusterFile,
  type ClusterRecord,
  readCluster,
  stateDirectory,
  stateDirFlag,
} from '../cluster-file.ts';
import type { CommandContext } from '../context.ts';
import { addFlags, readFlags } from '../flags.ts';
import { isAlive } from '../process-identity.ts';
import { stopDaemons } from '../stop-cluster.ts';
import { counted } from '../wording.ts';

const downFlags = { stateDir: stateDirFlag } as const;

export function downCommand(context: CommandContext): Command {
  const command = new Command('down').description('End the cluster that hlsim up started');
  addFlags(command, downFlags).addHelpText(
    'after',
    `
Ends every process of the cluster and removes its record and logs, also if some of the processes have
died already.

Examples:
  hlsim down
  hlsim down --state-dir ./state`,
  );
  return command.action(async () => {
    const file = new ClusterFile(stateDirectory(readFlags(command, downFlags).stateDir));
    await down(file, context);
  });
}

async function down(file: ClusterFile, { scheduler, terminal }: CommandContext): Promise<void> {
  const record = readCluster(file);
  const running = record.daemons.filter(isAlive).length;
  if (!(await stopDaemons(record, scheduler))) {
    const left = record.daemons.filter(isAlive).map(({ name, pid }) => `${name} (pid ${pid})`);
    throw new HlsimError(
      'HLSIM_TIMEOUT',
      `Expected every process of the cluster to end but found ${left.join(', ')}: end them, then run hlsim down again`,
    );
  }
  file.remove(record);
  terminal.result(
    `The cluster is down: ${running} of ${counted(record.daemons.length, 'process', 'processes')} ${running === 1 ? 'was' : 'were'} running.`,
  );
  const stale = variablesOf(record);
  if (stale.length > 0) terminal.result(`To forget it: unset ${stale.join(' ')}`);
}

/** Those of the caller's variables that name this cluster: every later command would look for it. */
function variablesOf({ url, token }: ClusterRecord): string[] {
  const values = { HLSIM_COORDINATOR: url, HLSIM_TOKEN: token };
  return Object.entries(values)
    .filter(([name, value]) => value !== undefined && environmentVariable(name) === value)
    .map(([name]) => name);
}
